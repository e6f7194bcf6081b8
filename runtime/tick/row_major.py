"""Values between programs of stages: they have a shape and a dtype, but no strides of their own."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor


def row_major(values: Iterable[Tensor]) -> list[Tensor]:
    """The values as a stage's program is traced with them.

    Some of torch's kernels (group normalization) refuse other layouts, and a copy of a value then
    computes the same as the value.
    """
    return [value.contiguous() for value in values]
