"""All that the torch-xla executor holds as tensors by name, and back.

position                        tick, first sample fed, next sample to be fed
.model.weights['NAME'] ...      each tensor of the pipeline's state by its path: weights,
.buffers[KEY] ...               optimizer, state, masks, skips, collected, steps; then the FIFOs
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..tick.snapshot import NamedTensors, copied
from .trace import to_device

if TYPE_CHECKING:
    from .executor import XlaExecutor


def snapshot(executor: XlaExecutor) -> dict[str, Tensor]:
    """What the executor holds, as copies."""
    position = torch.tensor([executor.tick, executor.first_fed, executor.fed])
    leaves = pytree.tree_leaves_with_path(executor.pipeline)
    return {"position": position, **{pytree.keystr(path): copied(leaf) for path, leaf in leaves}}


def restore(executor: XlaExecutor, snapshot: Mapping[str, Tensor]) -> None:
    """Put a snapshot in place of what the executor holds. Raises UserError if it does not fit."""
    given = NamedTensors(snapshot)
    position = given.take("position", torch.zeros(3, dtype=torch.int64))
    leaves, form = pytree.tree_flatten_with_path(executor.pipeline)
    taken = [given.take(pytree.keystr(path), leaf) for path, leaf in leaves]
    given.check_empty()
    executor.pipeline = pytree.tree_unflatten(map(to_device, taken), form)
    executor.tick, executor.first_fed, executor.fed = position.tolist()
