"""All that the JAX executor holds as tensors by name, and back.

position                        tick, first sample fed, next sample to be fed
.model.weights['NAME'] ...      each array of the pipeline's state by its path: weights,
.buffers[0] ...                 optimizer, state, masks, skips, collected, steps; then the FIFOs
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import Tensor

from .snapshot import NamedTensors

if TYPE_CHECKING:
    from .jax_executor import JaxExecutor

Array = Any


def snapshot(executor: JaxExecutor) -> dict[str, Tensor]:
    """What the executor holds, as copies."""
    position = torch.tensor([executor.tick, executor.first_fed, executor.fed])
    leaves = jax.tree_util.tree_leaves_with_path(executor.pipeline)
    return {"position": position, **{_name(path): _tensor(leaf) for path, leaf in leaves}}


def restore(executor: JaxExecutor, snapshot: Mapping[str, Tensor]) -> None:
    """Put a snapshot in place of what the executor holds. Raises UserError if it does not fit."""
    given = NamedTensors(snapshot)
    position = given.take("position", torch.zeros(3, dtype=torch.int64))

    def taken(path: Any, leaf: Array) -> Array:
        return _array(given.take(_name(path), _tensor(leaf)), leaf)

    pipeline = jax.tree_util.tree_map_with_path(taken, executor.pipeline)
    given.check_empty()
    executor.pipeline = pipeline
    executor.tick, executor.first_fed, executor.fed = position.tolist()


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path)


def _tensor(array: Array) -> Tensor:
    """A copy as a torch tensor; numpy has no bfloat16, so its bits go through integers."""
    values = np.array(array)
    if values.dtype == jnp.bfloat16:
        return torch.from_numpy(values.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(values)


def _array(tensor: Tensor, like: Array) -> Array:
    """A copy as a jax array of the type of `like`."""
    if tensor.dtype == torch.bfloat16:
        return _own(tensor.view(torch.int16).numpy().view(like.dtype))
    return _own(tensor.numpy())


def _own(values: np.ndarray) -> Array:
    """On the device, in memory of its own, since the executor donates it."""
    return jax.device_put(values, may_alias=False)
