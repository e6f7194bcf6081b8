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

from ..tick.snapshot import NamedTensors

if TYPE_CHECKING:
    from .executor import JaxExecutor

Array = Any


def snapshot(executor: JaxExecutor) -> dict[str, Tensor]:
    """What the executor holds, as copies."""
    position = torch.tensor([executor.tick, executor.first_fed, executor.fed])
    whole = executor.home.gathered(executor.pipeline, executor.tick)
    leaves = jax.tree_util.tree_leaves_with_path(whole)
    return {"position": position, **{_name(path): _tensor(leaf) for path, leaf in leaves}}


def restore(executor: JaxExecutor, snapshot: Mapping[str, Tensor]) -> None:
    """Put a snapshot in place of what the executor holds. Raises UserError if it does not fit."""
    given = NamedTensors(snapshot)
    position = given.take("position", torch.zeros(3, dtype=torch.int64))

    def taken(path: Any, form: Any) -> np.ndarray:
        dtype = getattr(torch, form.dtype.name)
        like = torch.empty(form.shape, dtype=dtype, device="meta")
        return _array(given.take(_name(path), like), form)

    whole = jax.tree_util.tree_map_with_path(taken, executor.home.form())
    given.check_empty()
    executor.tick, executor.first_fed, executor.fed = position.tolist()
    executor.pipeline = executor.home.placed(whole, executor.tick)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path)


def _tensor(array: Array) -> Tensor:
    """A copy as a torch tensor; numpy has no bfloat16, so its bits go through integers."""
    values = np.array(array)
    if values.dtype == jnp.bfloat16:
        return torch.from_numpy(values.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(values)


def _array(tensor: Tensor, form: Any) -> np.ndarray:
    """Its values as a numpy array of the type of `form`."""
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(form.dtype)
    return tensor.numpy()
