"""The blocks of a residual network: a list of modules that each read and write the same stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UserError

RunModel = Callable[[nn.Module], Any]
"""Runs a model once on a sample."""


@dataclass(frozen=True)
class BlockList:
    """A ModuleList or Sequential of a model, by its path, and which of its runs can be left out.

    `streams` has the shape of the stream before each block and, last, after the last one.
    """

    path: str
    streams: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.streams) - 1

    def removable(self, first: int, count: int) -> bool:
        """Whether blocks first to first + count - 1 leave the stream's shape as it is."""
        whole = first >= 0 and first + count <= len(self)
        return whole and self.streams[first] == self.streams[first + count]

    def of_one_shape(self) -> range:
        """The longest run of blocks that leave the stream's shape as it is."""
        runs = [range(0)]
        for place, (before, after) in enumerate(pairwise(self.streams)):
            if before != after:
                runs.append(range(place + 1, place + 1))
            else:
                first = runs[-1].start if len(runs[-1]) else place
                runs[-1] = range(first, place + 1)
        return max(runs, key=len)


def find_blocks(model: nn.Module, run: RunModel, path: str | None = None) -> BlockList:
    """The longest list of modules that run one after the other on one stream.

    `run(model)` runs the model on a sample, in evaluation, so that no state of it advances; `path`
    names the list where there are several. Raises UserError if there is none, or if the one named
    does not pass on a stream.
    """
    lists = {n: m for n, m in model.named_modules() if isinstance(m, nn.ModuleList | nn.Sequential)}
    if path is not None and path not in lists:
        raise _no_stream(path, f"no ModuleList or Sequential; there are {', '.join(lists)}")
    wanted = lists if path is None else {path: lists[path]}
    found = {name: _streams(model, own, run) for name, own in wanted.items() if len(own) > 1}
    chains = {name: streams for name, streams in found.items() if streams is not None}
    kept = {n: s for n, s in chains.items() if len(set(s)) < len(s)}
    if not kept:
        raise _no_stream(
            path or type(model).__name__, "no run of blocks that keeps a stream's shape"
        )
    best = max(kept, key=lambda name: len(kept[name]))
    return BlockList(best, kept[best])


@contextmanager
def standing_still(model: nn.Module) -> Iterator[None]:
    """Evaluation without gradients; afterwards each module trains again if it did."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def stream_of(value: Any) -> Tensor | None:
    """The residual stream among a block's arguments or results: its first tensor."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        return next((found for item in value if (found := stream_of(item)) is not None), None)
    return None


def _streams(
    model: nn.Module, own: nn.ModuleList | nn.Sequential, run: RunModel
) -> tuple[tuple[int, ...], ...] | None:
    """Shapes before each module and after the last, if each reads what the one before gave."""
    seen: list[tuple[Tensor | None, Tensor | None]] = []

    def note(module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        seen.append((stream_of((args, kwargs)), stream_of(result)))

    hooks = [m.register_forward_hook(note, with_kwargs=True) for m in own]
    try:
        with standing_still(model):
            run(model)
    finally:
        for hook in hooks:
            hook.remove()
    if len(seen) != len(own) or any(a is None or b is None for a, b in seen):
        return None
    linked = all(a[1] is b[0] for a, b in pairwise(seen))
    if not linked:
        return None
    shapes = [tuple(before.shape) for before, _ in seen if before is not None]
    last = seen[-1][1]
    return (*shapes, tuple(last.shape) if last is not None else ())


def _no_stream(where: str, got: str) -> UserError:
    return UserError(
        f"depth pruning: {where}",
        expected="a list of blocks, each of which adds to one residual stream",
        got=got,
        change="name the ModuleList or Sequential of the blocks with path=",
    )
