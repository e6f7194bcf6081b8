"""Convolution and its gradients as slices and one matrix product each, for XLA on a CPU.

XLA's own convolution is a plain loop nest there: a sample of ResNet-20 took eight times as long as
by jax with it, and some gradients in float64 end the process. The formulas are those of
`runtime/jax/ops/convolution.py`; groups are batches of products.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .library import XLAC

CONVOLUTION = torch.ops.aten.convolution.default
BACKWARD = torch.ops.aten.convolution_backward.default


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None, shifts: Shifts) -> Tensor:
    """x (N, C, *spatial) and the weight as ATen has it to (N, out, *sizes)."""
    split = shifts.split(x, 1), shifts.split(weight, 0)
    y = shifts.joined((_of_input if shifts.is_transposed else _convolved)(*split, shifts))
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
    """What each offset of the kernel meets: (spatial) and (kernel) sizes, and ATen's arguments.

    A transposed convolution is the gradient of the input of one: `spatial` are the sizes it makes.
    """

    spatial: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    is_transposed: bool = False

    @staticmethod
    def of(x: Tensor, weight: Tensor, arguments: Sequence[Any]) -> Shifts:
        """By ATen's (stride, padding, dilation, transposed, output padding, groups)."""
        stride, padding, dilation, is_transposed, more, groups = arguments
        lists = (tuple(stride), tuple(padding), tuple(dilation))
        spatial, kernel = tuple(x.shape[2:]), tuple(weight.shape[2:])
        if is_transposed:
            axes = zip(spatial, kernel, more, *lists, strict=True)
            spatial = tuple(
                (n - 1) * s - 2 * p + d * (k - 1) + extra + 1 for n, k, extra, s, p, d in axes
            )
        return Shifts(spatial, kernel, *lists, groups, bool(is_transposed))

    @property
    def rank(self) -> int:
        """How many spatial axes there are."""
        return len(self.kernel)

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
        return replace(self, spatial=self.sizes, padding=padding)

    def unfolded(self, x: Tensor, flipped: bool = False) -> Tensor:
        """(..., C, *spatial) to (..., C, K, L): what each offset meets, or the last one first.

        One gather: slices of each offset are written twice, apart and then side by side.
        """
        table = self.input_of[::-1] if flipped else self.input_of
        numbers = torch.from_numpy(np.maximum(table, 0).reshape(-1)).to(x.device)
        is_inside = torch.from_numpy(table >= 0).to(x.device)
        flat = x.flatten(-self.rank)
        taken = flat.index_select(flat.ndim - 1, numbers)
        taken = taken.reshape(*flat.shape[:-1], *table.shape)
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
        """(..., *sizes, C) at the padded input's positions that an offset meets, zero else."""
        edges: list[int] = [0, 0]
        first = part.ndim - 1 - self.rank
        for axis in reversed(range(self.rank)):
            part = _spread(part, first + axis, self.stride[axis])
            length = self.spatial[axis] + 2 * self.padding[axis]
            edges += [start[axis], length - start[axis] - part.shape[first + axis]]
        return F.pad(part, edges)

    def split(self, x: Tensor, axis: int) -> Tensor:
        """By groups along an axis, where there are some: (groups, ...)."""
        if self.groups == 1:
            return x
        return x.unflatten(axis, (self.groups, x.shape[axis] // self.groups)).movedim(axis, 0)

    def joined(self, x: Tensor) -> Tensor:
        """(groups, N, C, ...), or (N, C, ...) without groups, to (N, groups C, ...)."""
        return x if self.groups == 1 else x.movedim(0, 1).flatten(1, 2)

    def contracted(self, a: Tensor, b: Tensor, axes: list[int], other: list[int]) -> Tensor:
        """Over axes counted from the last, of each group; summed in at least float32."""
        batch = [0] if self.groups > 1 else []
        summed = [axis + a.ndim for axis in axes], [axis + b.ndim for axis in other]
        return XLAC._xla_dot_general(_wide(a), _wide(b), (summed, (batch, batch)))


def _gradients(grad: Tensor, x: Tensor, weight: Tensor, shifts: Shifts) -> tuple[Tensor, Tensor]:
    """Those of x and the weight; where there is a mirror that moves less, of one unfolding."""
    given = shifts.split(grad, 1), shifts.split(x, 1), shifts.split(weight, 0)
    mirror = None if shifts.is_transposed else shifts.mirror
    if mirror and _is_cheaper(mirror, given[2]):
        of_x, of_weight = _by_mirror(mirror, *given)
    elif shifts.is_transposed:
        of_x = _convolved(given[0], given[2], shifts)[(..., *map(slice, x.shape[2:]))]
        of_weight = _of_weight(_filled(given[1], shifts), given[0], shifts)
    else:
        of_x = _of_input(given[0], given[2], shifts)
        of_weight = _of_weight(given[0], given[1], shifts)
    return shifts.joined(of_x).to(x.dtype), of_weight.reshape(weight.shape).to(weight.dtype)


def _is_cheaper(mirror: Shifts, weight: Tensor) -> bool:
    """Whether `_by_mirror` moves less than the gradients of columns of the input."""
    outputs, inputs = weight.flatten(-mirror.rank).shape[-3:-1]
    return outputs <= 2 * inputs and min(outputs, inputs) <= math.prod(mirror.sizes)


def _convolved(x: Tensor, weight: Tensor, shifts: Shifts) -> Tensor:
    """(..., N, C, *spatial) and (..., out, C, *kernel) to (..., N, out, *sizes)."""
    columns = shifts.unfolded(x).flatten(-3, -2)
    rows = weight.flatten(-1 - shifts.rank)
    made = shifts.contracted(rows, columns, [-1], [-2]).movedim(-3, -2)
    return made.reshape(*made.shape[:-1], *shifts.sizes)


def _of_weight(grad: Tensor, x: Tensor, shifts: Shifts) -> Tensor:
    """(..., out, C, K) of (..., N, out, *sizes) and (..., N, C, *spatial)."""
    flat, columns = grad.flatten(-shifts.rank), shifts.unfolded(x)
    return shifts.contracted(flat, columns, [-3, -1], [-4, -1])


def _by_mirror(mirror: Shifts, grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of x and the weight, both of one unfolding of the output's gradient."""
    columns = mirror.unfolded(grad, flipped=True)
    turned = weight.flatten(-mirror.rank).movedim(-2, -1).flatten(-3, -2)
    of_x = mirror.contracted(turned, columns.flatten(-3, -2), [-2], [-2]).movedim(-3, -2)
    flat = x.flatten(-mirror.rank)
    of_weight = mirror.contracted(columns, flat, [-4, -1], [-3, -1]).movedim(-1, -2)
    return of_x.reshape(x.shape), of_weight


def _of_input(grad: Tensor, weight: Tensor, shifts: Shifts) -> Tensor:
    """The gradients of columns, each added up where it came from: (..., N, C, *spatial)."""
    grad, rank = _filled(grad, shifts), shifts.rank
    rows = weight.flatten(-1 - rank)
    columns = shifts.contracted(grad.flatten(-rank), rows, [-2], [-2])
    lead, inputs = grad.shape[: -1 - rank], weight.shape[-1 - rank]
    parts = columns.reshape(*lead, *shifts.sizes, inputs, -1)
    placed = [shifts.placed(parts[..., k], start) for k, start in enumerate(shifts.starts)]
    total = sum(placed[1:], start=placed[0])
    for axis, (p, n) in enumerate(zip(shifts.padding, shifts.spatial, strict=True)):
        total = total[(slice(None),) * (len(lead) + axis) + (slice(p, p + n),)]
    return total.movedim(-1, -1 - rank)


def _filled(x: Tensor, shifts: Shifts) -> Tensor:
    """x with zeros at the ends, where an output padding reaches farther than a stride."""
    missing = [size - n for size, n in zip(shifts.sizes, x.shape[-shifts.rank :], strict=True)]
    return F.pad(x, [edge for n in reversed(missing) for edge in (0, n)]) if any(missing) else x


def _spread(part: Tensor, axis: int, stride: int) -> Tensor:
    """With `stride` - 1 zeros between two entries along an axis."""
    if stride == 1:
        return part
    size = part.shape[axis]
    zeros = torch.zeros_like(part).unsqueeze(axis + 1)
    whole = torch.cat([part.unsqueeze(axis + 1), *[zeros] * (stride - 1)], axis + 1)
    return whole.flatten(axis, axis + 1).narrow(axis, 0, (size - 1) * stride + 1)


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
