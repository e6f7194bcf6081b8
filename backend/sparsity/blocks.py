"""Parts of a weight between which non-zeros are balanced: each holds the same share."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UserError


@dataclass(frozen=True)
class Blocks:
    """`count` equal slices of a weight's axis: 0 is output features, 1 is input features.

    One block means that all weights compete with each other.
    """

    axis: int = 0
    count: int = 1

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise `UserError` if the axis does not divide into the blocks."""
        size = shape[self.axis] if self.axis < len(shape) else 1
        if size % self.count:
            side = ("output", "input")[self.axis]
            raise UserError(
                f"sparsity of '{name}'",
                expected=f"{side} features that divide into {self.count} balanced groups",
                got=f"{size} of them, shape {tuple(shape)}",
                change=f"set balance_{('out', 'in')[self.axis]}_groups to a divisor of {size}",
            )

    def sizes(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Elements of every block."""
        return (prod(shape) // self.count,) * self.count

    def split(self, array: NDArray) -> NDArray:
        """`array` as (blocks, elements)."""
        return np.moveaxis(array, self._axis(array.ndim), 0).reshape(self.count, -1)

    def join(self, blocks: NDArray, shape: tuple[int, ...]) -> NDArray:
        """Inverse of `split`, for an array of `shape`."""
        axis = self._axis(len(shape))
        front = (shape[axis], *shape[:axis], *shape[axis + 1 :]) if shape else ()
        return np.ascontiguousarray(np.moveaxis(blocks.reshape(front), 0, axis))

    def chunks(self, weight: Tensor) -> tuple[Tensor, ...]:
        """The blocks as tensors of the weight's rank."""
        return weight.chunk(self.count, self._axis(weight.dim()))

    def concatenated(self, parts: list[Tensor]) -> Tensor:
        """Inverse of `chunks`."""
        return torch.cat(parts, self._axis(parts[0].dim()))

    def _axis(self, rank: int) -> int:
        return min(self.axis, max(rank - 1, 0))
