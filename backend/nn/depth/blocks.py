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
from .residual import SumsWithStream

RunModel = Callable[[nn.Module], Any]
"""Runs a model once on a sample."""


@dataclass(frozen=True)
class BlockList:
    """A ModuleList or Sequential of a model, by its path, and which of its runs can be left out.

    `streams` has the shape of the stream before each block and, last, after the last one; `adding`
    says which blocks add to the stream they read.
    """

    path: str
    streams: tuple[tuple[int, ...], ...]
    adding: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.streams) - 1

    def removable(self, first: int, count: int) -> bool:
        """Whether blocks first to first + count - 1 add to a stream, and leave its shape as it
        is."""
        whole = first >= 0 and first + count <= len(self)
        same = whole and self.streams[first] == self.streams[first + count]
        return same and all(self.adding[first : first + count])

    def of_one_shape(self) -> range:
        """The longest run of blocks that add to a stream and leave its shape as it is."""
        runs = [range(0)]
        for place, (before, after) in enumerate(pairwise(self.streams)):
            if before != after or not self.adding[place]:
                runs.append(range(place + 1, place + 1))
            else:
                first = runs[-1].start if len(runs[-1]) else place
                runs[-1] = range(first, place + 1)
        return max(runs, key=len)


def find_blocks(model: nn.Module, run: RunModel, path: str | None = None) -> BlockList:
    """The longest list of modules that run one after the other, and of which one at least adds to
    the stream it reads.

    `run(model)` runs the model on a sample, in evaluation, so that no state of it advances; `path`
    names the list where there are several. Raises UserError if there is none, or if the one named
    does not pass on a stream.
    """
    lists = {n: m for n, m in model.named_modules() if isinstance(m, nn.ModuleList | nn.Sequential)}
    if path is not None and path not in lists:
        raise _no_stream(path, f"no ModuleList or Sequential; there are {', '.join(lists)}")
    wanted = lists if path is None else {path: lists[path]}
    chains = {n: _chain(n, model, own, run) for n, own in wanted.items() if len(own) > 1}
    kept = {n: chain for n, chain in chains.items() if chain is not None and chain.of_one_shape()}
    if not kept:
        chain = None if path is None else chains.get(path)
        got = "no run of blocks that adds to a stream and keeps its shape"
        if chain is not None and not any(chain.adding):
            got = f"{len(chain)} modules in a chain, none of which adds to what it reads"
        raise _no_stream(path or type(model).__name__, got)
    return max(kept.values(), key=len)


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


def _chain(
    path: str, model: nn.Module, own: nn.ModuleList | nn.Sequential, run: RunModel
) -> BlockList | None:
    """The modules of a list, if each reads what the one before gave."""
    read: list[Tensor | None] = []
    given: list[Tensor | None] = []
    adding: list[bool] = []
    sums = SumsWithStream()

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        read.append(stream_of((args, kwargs)))
        sums.begin((args, kwargs))

    def after(module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        given.append(stream_of(result))
        adding.append(sums.end())

    hooks = [m.register_forward_pre_hook(before, with_kwargs=True) for m in own]
    hooks += [m.register_forward_hook(after, with_kwargs=True) for m in own]
    try:
        with standing_still(model), sums:
            run(model)
    finally:
        for hook in hooks:
            hook.remove()
    streams = [value for value in (*read, *given[-1:]) if value is not None]
    if len(read) != len(own) or len(given) != len(own) or len(streams) != len(own) + 1:
        return None
    if any(made is not taken for made, taken in zip(given, read[1:], strict=False)):
        return None
    return BlockList(path, tuple(tuple(value.shape) for value in streams), tuple(adding))


def _no_stream(where: str, got: str) -> UserError:
    return UserError(
        f"depth pruning: {where}",
        expected="a list of blocks that add to one residual stream",
        got=got,
        change="name the ModuleList or Sequential of the blocks with path=",
    )
