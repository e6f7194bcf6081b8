"""Convolution and its gradients as slices and one matrix product each, for XLA on a CPU.

XLA's own convolution is a plain loop nest there: a sample of ResNet-20 took eight times as long as
by jax with it, and takes 1.8 times as long without. The formulas are those of
`runtime/jax/ops/convolution.py`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .library import XLAC

CONVOLUTION = torch.ops.aten.convolution.default
BACKWARD = torch.ops.aten.convolution_backward.default


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None, shifts: Shifts) -> Tensor:
    """x (N, C, *spatial) and weight (out, C, *kernel) to (N, out, *sizes)."""
    columns = shifts.unfolded(x).flatten(1, 2)
    made = _contracted(weight.flatten(1), columns, [1], [1]).movedim(0, 1)
    y = made.reshape(x.shape[0], weight.shape[0], *shifts.sizes)
    y = y if bias is None else y + bias.reshape(-1, *[1] * len(shifts.sizes))
    return y.to(x.dtype)


def convolution_backward(
    grad: Tensor, x: Tensor, weight: Tensor, shifts: Shifts, wanted: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """Gradients of (x, weight, bias), None where they are not wanted."""
    flat = grad.flatten(2)
    of_x = _of_input(grad, x, weight, shifts) if wanted[0] else None
    of_weight = None
    if wanted[1]:
        made = _contracted(flat, shifts.unfolded(x), [0, 2], [0, 3])
        of_weight = made.reshape(weight.shape).to(weight.dtype)
    of_bias = _wide(flat).sum((0, 2)).to(weight.dtype) if wanted[2] else None
    return of_x, of_weight, of_bias


@dataclass(frozen=True)
class Shifts:
    """What each offset of the kernel meets: (spatial) and (kernel) sizes, and ATen's arguments."""

    spatial: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    @staticmethod
    def of(x: Tensor, weight: Tensor, arguments: Sequence[Any]) -> Shifts | None:
        """By ATen's (stride, padding, dilation, transposed, output padding, groups).

        None for transposed and grouped convolutions.
        """
        stride, padding, dilation, is_transposed, _, groups = arguments
        if is_transposed or groups != 1:
            return None
        lists = (tuple(stride), tuple(padding), tuple(dilation))
        return Shifts(tuple(x.shape[2:]), tuple(weight.shape[2:]), *lists)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The spatial sizes of the output."""
        axes = zip(self.spatial, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)

    @property
    def starts(self) -> list[tuple[int, ...]]:
        """Of each offset of the kernel, the position in the padded input that it meets first."""
        offsets = itertools.product(*map(range, self.kernel))
        return [tuple(o * d for o, d in zip(own, self.dilation, strict=True)) for own in offsets]

    @property
    def mirror(self) -> Shifts | None:
        """Those of the flipped kernel, which meet outputs for inputs; None with a stride."""
        sizes = zip(self.dilation, self.kernel, self.padding, strict=True)
        padding = tuple(d * (k - 1) - p for d, k, p in sizes)
        if max(self.stride) > 1 or min(padding) < 0:
            return None
        return Shifts(self.sizes, self.kernel, self.stride, padding, self.dilation)

    def unfolded(self, x: Tensor, flipped: bool = False) -> Tensor:
        """(N, C, *spatial) to (N, C, K, L): what each offset meets, or the last one first."""
        padded = F.pad(x, [p for p in reversed(self.padding) for _ in range(2)])
        ends = [(size - 1) * s + 1 for size, s in zip(self.sizes, self.stride, strict=True)]
        rows = []
        for start in reversed(self.starts) if flipped else self.starts:
            row = padded
            for axis, (a, length, s) in enumerate(zip(start, ends, self.stride, strict=True)):
                row = row[(slice(None),) * (2 + axis) + (slice(a, a + length, s),)]
            rows.append(row.flatten(2))
        return torch.stack(rows, 2)

    def placed(self, part: Tensor, start: Sequence[int]) -> Tensor:
        """(N, *sizes, C) at the positions of the padded input that an offset meets, zero else."""
        edges: list[int] = [0, 0]
        for axis in reversed(range(len(start))):
            part = _spread(part, 1 + axis, self.stride[axis])
            length = self.spatial[axis] + 2 * self.padding[axis]
            edges += [start[axis], length - start[axis] - part.shape[1 + axis]]
        return F.pad(part, edges)


def _of_input(grad: Tensor, x: Tensor, weight: Tensor, shifts: Shifts) -> Tensor:
    """By one unfolding of the output's gradient where that moves less than the weight weighs, or
    by the gradients of columns, each added up where it came from."""
    outputs, inputs = weight.shape[:2]
    mirror = shifts.mirror
    if mirror and outputs <= 2 * inputs and min(outputs, inputs) <= math.prod(shifts.sizes):
        columns = mirror.unfolded(grad, flipped=True).flatten(1, 2)
        turned = weight.flatten(2).movedim(1, 2).flatten(0, 1)
        made = _contracted(turned, columns, [0], [1])
        return made.movedim(0, 1).reshape(x.shape).to(x.dtype)
    columns = _contracted(grad.flatten(2), weight.flatten(1), [1], [0])
    parts = columns.reshape(x.shape[0], *shifts.sizes, inputs, -1)
    placed = [shifts.placed(parts[..., k], start) for k, start in enumerate(shifts.starts)]
    total = sum(placed[1:], start=placed[0])
    for axis, (p, n) in enumerate(zip(shifts.padding, shifts.spatial, strict=True)):
        total = total[(slice(None),) * (1 + axis) + (slice(p, p + n),)]
    return total.movedim(-1, 1).to(x.dtype)


def _spread(part: Tensor, axis: int, stride: int) -> Tensor:
    """With `stride` - 1 zeros between two entries along an axis."""
    if stride == 1:
        return part
    size = part.shape[axis]
    zeros = torch.zeros_like(part).unsqueeze(axis + 1)
    whole = torch.cat([part.unsqueeze(axis + 1), *[zeros] * (stride - 1)], axis + 1)
    return whole.flatten(axis, axis + 1).narrow(axis, 0, (size - 1) * stride + 1)


def _contracted(a: Tensor, b: Tensor, axes: list[int], other: list[int]) -> Tensor:
    """Summed in at least float32."""
    return XLAC._xla_dot_general(_wide(a), _wide(b), ((axes, other), ([], [])))


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
