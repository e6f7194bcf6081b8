"""Modules whose streaming statistics keep their precision when the module is cast."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar, Self

import torch
from torch import Tensor, nn


class StreamingState(nn.Module):
    """A module with buffers `state_names`, one value per channel, at least float32.

    Casting to half precision moves them but keeps their dtype: 1 - alpha would round away there.
    """

    state_names: ClassVar[tuple[str, ...]] = ()

    def add_state(self, num_features: int) -> None:
        """Register the buffers: those named 'var' start at 1, the others at 0."""
        for name in self.state_names:
            start = torch.ones if name == "var" else torch.zeros
            self.register_buffer(name, start(num_features, dtype=torch.float32))

    def reset_state(self) -> None:
        """All state as at construction."""
        with torch.no_grad():
            for name in self.state_names:
                getattr(self, name).fill_(1.0 if name == "var" else 0.0)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        former = {name: getattr(self, name) for name in self.state_names}
        super()._apply(fn, recurse)
        for name, state in former.items():
            new = getattr(self, name)
            if new.dtype in (torch.float16, torch.bfloat16):
                setattr(self, name, state.to(new.device))
        return self


def per_channel(values: Tensor, like: Tensor) -> Tensor:
    """(C,) shaped to broadcast over (N, C, *spatial)."""
    return values.view(-1, *([1] * (like.dim() - 2)))


def as_dtype(x: Tensor, dtype: torch.dtype) -> Tensor:
    """x in that dtype; a tensor that has it leaves no cast in a captured graph."""
    return x if x.dtype == dtype else x.to(dtype)


def inside_backward() -> bool:
    """Whether a backward pass is running on this thread: a forward is then a recomputation."""
    # The graph task of the running backward, as `torch.utils.checkpoint` itself asks for it.
    return torch._C._current_graph_task_id() != -1


_REPLAY = threading.local()


@contextmanager
def replayed() -> Iterator[None]:
    """Within it somebody else puts the statistics of a forward in place and takes them out again.

    Modules then run a forward in a backward pass like any other.
    """
    before = getattr(_REPLAY, "depth", 0)
    _REPLAY.depth = before + 1
    try:
        yield
    finally:
        _REPLAY.depth = before


def is_replayed() -> bool:
    """Whether `replayed` is in force on this thread."""
    return getattr(_REPLAY, "depth", 0) > 0
