"""RevSilo: reversible fusion of feature maps of several scales (arXiv:2206.14098)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from .layer import AdditiveLayer, AdditiveUpdate, StreamPart

MakeEdge = Callable[[int, int], nn.Module]
"""A function from scale i to scale j, made from (i, j)."""


class RevSilo(AdditiveLayer):
    """Streams are scales 0 (finest) to n - 1 (coarsest).

    Down: y_j = x_j + sum over i < j of F_ij(x_i), all of the original x. Up: z_j = y_j + sum over
    i > j of G_ij(y_i), all of the original y. With `creates` the coarsest scale is new: it has no
    x, and y is the sum alone.
    """

    def __init__(self, scales: int, down: MakeEdge, up: MakeEdge, creates: bool = False) -> None:
        super().__init__()
        last = scales - 1
        self.down = nn.ModuleList(
            AdditiveUpdate(
                StreamPart(j),
                [StreamPart(i) for i in range(j)],
                [down(i, j) for i in range(j)],
                creates=creates and j == last,
            )
            for j in range(last, 0, -1)
        )
        self.up = nn.ModuleList(
            AdditiveUpdate(
                StreamPart(j),
                [StreamPart(i) for i in range(j + 1, scales)],
                [up(i, j) for i in range(j + 1, scales)],
            )
            for j in range(last)
        )

    def updates(self) -> Sequence[AdditiveUpdate]:
        """Down from the coarsest, then up from the finest: each reads what has not changed yet."""
        return [*self.down, *self.up]  # type: ignore[list-item]
