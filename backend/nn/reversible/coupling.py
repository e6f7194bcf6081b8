"""RevNet blocks (Gomez et al. 2017, arXiv:1707.04585): additive couplings of two streams."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from .layer import AdditiveLayer, AdditiveUpdate, StreamPart


class AdditiveCoupling(AdditiveLayer):
    """y1 = x1 + f(x2), y2 = x2 + g(y1), on two streams or on the halves of one's channels.

    `f` and `g` keep the shape of what they are added to. `stream` None takes streams 0 and 1 for x1
    and x2; a number takes the halves of that stream's channels (c // 2 and c - c // 2).
    """

    def __init__(self, f: nn.Module, g: nn.Module, stream: int | None = None) -> None:
        super().__init__()
        first, second = (
            (StreamPart(0), StreamPart(1))
            if stream is None
            else (StreamPart(stream, 0), StreamPart(stream, 1))
        )
        self.f = AdditiveUpdate(first, [second], [f])
        self.g = AdditiveUpdate(second, [first], [g])

    def updates(self) -> Sequence[AdditiveUpdate]:
        """x1 changes first."""
        return self.f, self.g


class ResidualCoupling(AdditiveLayer):
    """(x, t) to (t + f(x), x): one residual function a layer, the streams swap.

    Two in a row are an `AdditiveCoupling`; each may be a pipeline stage of its own (PETRA,
    arXiv:2406.02052).
    """

    order = (1, 0)

    def __init__(self, f: nn.Module) -> None:
        super().__init__()
        self.f = AdditiveUpdate(StreamPart(1), [StreamPart(0)], [f])

    def updates(self) -> Sequence[AdditiveUpdate]:
        """One."""
        return (self.f,)
