"""Convolution and its gradients as slices and one matrix product each, for XLA on a CPU.

XLA's own convolution is a plain loop nest there: a sample of ResNet-20 took eight times as long as
by jax with it. The formulas are those of
`runtime/jax/ops/convolution.py`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
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
    of_x, of_weight = _gradients(grad, x, weight, shifts) if any(wanted[:2]) else (None, None)
    of_bias = _wide(grad.flatten(2)).sum((0, 2)).to(weight.dtype) if wanted[2] else None
    found = zip((of_x, of_weight, of_bias), wanted, strict=True)
    return tuple(value if is_wanted else None for value, is_wanted in found)


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
        """(N, C, *spatial) to (N, C, K, L): what each offset meets, or the last one first.

        One gather: slices of each offset are written twice, apart and then side by side.
        """
        table = self.input_of[::-1] if flipped else self.input_of
        numbers = torch.from_numpy(np.maximum(table, 0).reshape(-1)).to(x.device)
        is_inside = torch.from_numpy(table >= 0).to(x.device)
        taken = x.flatten(2).index_select(2, numbers).reshape(*x.shape[:2], *table.shape)
        return torch.where(is_inside, taken, 0)

    @property
    def input_of(self) -> np.ndarray:
        """(K, L): the input position that an offset meets at an output position, or -1."""
        numbers = np.arange(math.prod(self.spatial)).reshape(self.spatial)
        padded = np.pad(numbers, [(p, p) for p in self.padding], constant_values=-1)
        ends = [(size - 1) * s + 1 for size, s in zip(self.sizes, self.stride, strict=True)]
        rows = []
        for starts in self.starts:
            axes = zip(starts, ends, self.stride, strict=True)
            rows.append(padded[tuple(slice(a, a + n, s) for a, n, s in axes)].reshape(-1))
        return np.stack(rows)

    def placed(self, part: Tensor, start: Sequence[int]) -> Tensor:
        """(N, *sizes, C) at the positions of the padded input that an offset meets, zero else."""
        edges: list[int] = [0, 0]
        for axis in reversed(range(len(start))):
            part = _spread(part, 1 + axis, self.stride[axis])
            length = self.spatial[axis] + 2 * self.padding[axis]
            edges += [start[axis], length - start[axis] - part.shape[1 + axis]]
        return F.pad(part, edges)


def _gradients(grad: Tensor, x: Tensor, weight: Tensor, shifts: Shifts) -> tuple[Tensor, Tensor]:
    """Those of x and the weight; where there is a mirror that moves less, of one unfolding."""
    mirror = shifts.mirror
    if mirror and _is_cheaper(mirror, weight):
        of_x, of_weight = _by_mirror(mirror, grad, x, weight)
    else:
        of_x = _of_input(grad, weight, shifts)
        of_weight = _contracted(grad.flatten(2), shifts.unfolded(x), [0, 2], [0, 3])
    return of_x.reshape(x.shape).to(x.dtype), of_weight.reshape(weight.shape).to(weight.dtype)


def _is_cheaper(mirror: Shifts, weight: Tensor) -> bool:
    """Whether `_by_mirror` moves less than the gradients of columns of the input."""
    outputs, inputs = weight.shape[:2]
    return outputs <= 2 * inputs and min(outputs, inputs) <= math.prod(mirror.sizes)


def _by_mirror(mirror: Shifts, grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of x and the weight, both of one unfolding of the output's gradient."""
    columns = mirror.unfolded(grad, flipped=True)
    turned = weight.flatten(2).movedim(1, 2).flatten(0, 1)
    of_x = _contracted(turned, columns.flatten(1, 2), [0], [1]).movedim(0, 1)
    of_weight = _contracted(columns, x.flatten(2), [0, 3], [0, 2]).movedim(2, 1)
    return of_x, of_weight


def _of_input(grad: Tensor, weight: Tensor, shifts: Shifts) -> Tensor:
    """The gradients of columns, each added up where it came from."""
    inputs = weight.shape[1]
    columns = _contracted(grad.flatten(2), weight.flatten(1), [1], [0])
    parts = columns.reshape(grad.shape[0], *shifts.sizes, inputs, -1)
    placed = [shifts.placed(parts[..., k], start) for k, start in enumerate(shifts.starts)]
    total = sum(placed[1:], start=placed[0])
    for axis, (p, n) in enumerate(zip(shifts.padding, shifts.spatial, strict=True)):
        total = total[(slice(None),) * (1 + axis) + (slice(p, p + n),)]
    return total.movedim(-1, 1)


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
