"""What a reversible layer is: streams in, streams out, and back.

A layer of one's own derives from `ReversibleLayer` and gives `forward` and `inverse`. Where it is
a list of additive updates (coupling, silo) it derives from `AdditiveLayer`: each update adds
functions of some streams to another one, and is undone by subtracting them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

TensorStreams = tuple[Tensor, ...]
CHANNELS = 1


class ReversibleLayer(nn.Module):
    """Maps a tuple of tensors to a tuple of tensors, and back."""

    @abstractmethod
    def forward(self, *streams: Tensor) -> TensorStreams:
        """The outputs; the inputs are left unchanged."""

    @abstractmethod
    def inverse(self, *streams: Tensor) -> TensorStreams:
        """The inputs that `forward` maps to these outputs."""


class StreamPart(NamedTuple):
    """A stream, or its first (0) or second (1) half of channels: c // 2 and c - c // 2."""

    stream: int
    half: int | None = None

    def of(self, stream: Tensor) -> Tensor:
        """The part as a view."""
        if self.half is None:
            return stream
        first = stream.shape[CHANNELS] // 2
        size = first if self.half == 0 else stream.shape[CHANNELS] - first
        return stream.narrow(CHANNELS, 0 if self.half == 0 else first, size)

    def put(self, stream: Tensor, part: Tensor) -> Tensor:
        """`stream` with this part replaced."""
        if self.half is None:
            return part
        halves = [StreamPart(self.stream, half).of(stream) for half in (0, 1)]
        halves[self.half] = part
        return torch.cat(halves, CHANNELS)


class AdditiveUpdate(nn.Module):
    """target <- target + sum of functions, each of one source.

    No source is the target. With `creates` the target is a new stream, the last one: the sum alone.
    """

    def __init__(
        self,
        target: StreamPart,
        sources: Sequence[StreamPart],
        functions: Sequence[nn.Module],
        creates: bool = False,
    ) -> None:
        super().__init__()
        self.target, self.sources, self.creates = target, tuple(sources), creates
        self.functions = nn.ModuleList(functions)

    def forward(self, *streams: Tensor) -> TensorStreams:
        """The streams after the update. Its nodes in a captured graph have this module's path."""
        return self.apply_to(streams)

    def change(self, parts: Sequence[Tensor]) -> Tensor:
        """The sum of the functions of the sources' parts."""
        first, *others = zip(self.functions, parts, strict=True)
        total: Tensor = first[0](first[1])
        for function, part in others:
            total = total + function(part)
        return total

    def read(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """The parts that the functions read."""
        return [source.of(streams[source.stream]) for source in self.sources]

    def apply_to(self, streams: TensorStreams, sign: int = 1) -> TensorStreams:
        """The streams after the update; before it with `sign` -1."""
        if self.creates and sign < 0:
            return streams[:-1]
        change = self.change(self.read(streams))
        if self.creates:
            return (*streams, change)
        number = self.target.stream
        old = streams[number]
        part = self.target.of(old)
        new = self.target.put(old, part + change if sign > 0 else part - change)
        return (*streams[:number], new, *streams[number + 1 :])


class AdditiveLayer(ReversibleLayer):
    """A reversible layer made of additive updates, then of a permutation of the streams."""

    order: tuple[int, ...] | None = None
    """Output k is stream order[k] after the updates; None leaves them in place."""

    @abstractmethod
    def updates(self) -> Sequence[AdditiveUpdate]:
        """The updates in order."""

    def forward(self, *streams: Tensor) -> TensorStreams:
        """The outputs."""
        for update in self.updates():
            streams = update(*streams)
        return tuple(self.permuted(streams))

    def inverse(self, *streams: Tensor) -> TensorStreams:
        """The inputs, exact but for rounding."""
        streams = tuple(self.permuted_back(streams))
        for update in reversed(self.updates()):
            streams = update.apply_to(streams, -1)
        return streams

    def permuted(self, streams: Sequence[Tensor]) -> Iterator[Tensor]:
        """The streams in the order in which they leave the layer."""
        return (streams[number] for number in self.order or range(len(streams)))

    def permuted_back(self, streams: Sequence[Tensor]) -> Iterator[Tensor]:
        """The inverse of `permuted`."""
        places = self.order or tuple(range(len(streams)))
        return (streams[places.index(number)] for number in range(len(streams)))
