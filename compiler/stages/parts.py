"""Operators of torch without a kernel and without a decomposition of torch's, written with others.

Each takes the operator's own arguments and gives what it gives, with its gradient where several
values are the largest, too: it goes to the first of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._decomp import decomposition_table
from torch._ops import OpOverload

_ATEN = torch.ops.aten
_REPLICATIONS = (
    _ATEN.replication_pad1d.default,
    _ATEN.replication_pad2d.default,
    _ATEN.replication_pad3d.default,
)


_ORDERED = (
    *(_ATEN.det.default, _ATEN.linalg_det.default, _ATEN._linalg_det.default),
    *(_ATEN.logdet.default, _ATEN.linalg_slogdet.default, _ATEN.slogdet.default),
    *(_ATEN._linalg_slogdet.default, _ATEN._linalg_solve_ex.default),
    *(_ATEN.linalg_solve.default, _ATEN.linalg_solve_ex.default),
)
"""Operators that factorize a matrix as it lies in memory, or its transpose."""


def pad(value: Tensor, sizes: Sequence[int], mode: str = "constant", fill: Any = None) -> Tensor:
    """`F.pad`; edges are repeated by torch's decomposition of that."""
    if mode == "replicate":
        return decomposition_table[_REPLICATIONS[len(sizes) // 2 - 1]](value, sizes)
    return _ATEN.pad.default(value, sizes, mode, fill)


def grid_sample(
    image: Tensor, grid: Tensor, interpolation: int, padding: int, align_corners: bool
) -> Tensor:
    """`F.grid_sample`, of images by torch's decomposition."""
    if image.ndim != 4:
        return _ATEN.grid_sampler.default(image, grid, interpolation, padding, align_corners)
    sample = decomposition_table[_ATEN.grid_sampler_2d.default]
    return sample(image, grid, interpolation, padding, align_corners)


def _row_major(op: OpOverload) -> Callable[..., Any]:
    """The operator on its first operand in row-major order: its backward is another one elsewhere,
    and the order that a value has while it is traced is not that in which it arrives."""

    def called(matrix: Tensor, *args: Any, **named: Any) -> Any:
        return op(matrix.contiguous(), *args, **named)

    return called


def bilinear(a: Tensor, b: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`F.bilinear`: a (..., I), b (..., J), weight (K, I, J) -> (..., K)."""
    left, right = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    rows = torch.einsum("ni,kij,nj->nk", left, weight, right)
    found = rows.reshape(*a.shape[:-1], weight.shape[0])
    return found if bias is None else found + bias


def distances(a: Tensor, b: Tensor, p: float = 2.0, mode: int | None = None) -> Tensor:
    """`torch.cdist`: a (..., R, M), b (..., S, M) -> (..., R, S). Left to torch: the count of
    differences, and the largest, whose gradient it does not share out among equal ones."""
    if p in (0, float("inf")):
        return _ATEN.cdist.default(a, b, p, mode)
    difference = a.unsqueeze(-2) - b.unsqueeze(-3)
    return torch.linalg.vector_norm(difference, p, difference.ndim - 1)


def adaptive_max_pool(value: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Largest value of each window and its place in the image, both (..., *sizes).

    Output o of n inputs is that of [floor(o n / m), ceil((o + 1) n / m)) along an axis of size m.
    """
    rank = len(sizes)
    places = torch.zeros(1, 1, dtype=torch.int64)  # (outputs, inputs of a window)
    for n, m in zip(value.shape[-rank:], sizes, strict=True):
        both = places[:, None, :, None] * n + _windows(n, m)[None, :, None, :]
        places = both.flatten(0, 1).flatten(1)
    picked = value.flatten(-rank)[..., places.flatten()].unflatten(-1, places.shape)
    largest, which = picked.max(-1)
    found = places.expand(*which.shape, -1).gather(-1, which[..., None])[..., 0]
    shape = (*value.shape[:-rank], *sizes)
    return largest.reshape(shape), found.reshape(shape)


def _windows(inputs: int, outputs: int) -> Tensor:
    """The inputs of each output, (outputs, longest); a short window has its last one again."""
    spans = [range(o * inputs // outputs, -(-(o + 1) * inputs // outputs)) for o in range(outputs)]
    number = torch.arange(outputs)[:, None]
    first = (number * inputs).div(outputs, rounding_mode="floor")
    last = ((number + 1) * inputs + outputs - 1).div(outputs, rounding_mode="floor") - 1
    return torch.minimum(first + torch.arange(max(map(len, spans))), last)


def embedding_bag(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sum (mode 0), mean (1) or largest (2) of the rows of each bag; the other results, which
    nothing but torch's backward reads, are the bags of the indices and the sizes of the bags."""
    count = offsets.shape[0] - include_last_offset
    bag = (torch.arange(indices.shape[0])[:, None] >= offsets[:count]).sum(1) - 1
    belongs = bag == torch.arange(count)[:, None]  # (bags, indices)
    if padding_idx is not None:
        belongs = belongs & (indices != padding_idx % weight.shape[0])
    sizes = belongs.sum(1)
    rows = F.embedding(indices, weight, scale_grad_by_freq=scale_grad_by_freq)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights[:, None]
    return _reduced(rows, belongs, sizes, mode), bag, sizes, sizes


def _reduced(rows: Tensor, belongs: Tensor, sizes: Tensor, mode: int) -> Tensor:
    if mode == 2:
        inside = torch.where(belongs[..., None], rows, float("-inf")).max(1).values
        return torch.where((sizes > 0)[:, None], inside, 0.0)
    total = belongs.to(rows.dtype) @ rows
    return total / sizes.clamp(min=1)[:, None] if mode == 1 else total


def _embedding_bag(*args: Any, padding_idx: int = -1, **named: Any) -> tuple[Tensor, ...]:
    """The operator that F.embedding_bag ends in, to which -1 is no padding."""
    given, padding = (args[:8], args[8]) if len(args) == 9 else (args, padding_idx)
    return embedding_bag(*given, padding_idx=None if padding < 0 else padding, **named)


def multilabel_margin(value: Tensor, target: Tensor, reduction: int = 1) -> Tensor:
    """`F.multilabel_margin_loss` of (N, C) or (C,): the sum over labels and other classes of
    max(0, 1 - (value[label] - value[other])) / C. Labels end at the first -1; torch's decomposition
    counts the places after it as labels of class 0."""
    rows, labels = torch.atleast_2d(value), torch.atleast_2d(target)
    given = (labels < 0).to(torch.int64).cumsum(1) == 0
    own = ((labels[..., None] == torch.arange(rows.shape[1])) & given[..., None]).any(1)  # (N, C)
    chosen = rows.gather(1, torch.where(given, labels, 0))
    margins = (1.0 - chosen[:, :, None] + rows[:, None, :]).clamp_min(0.0)
    counts = given[:, :, None] & ~own[:, None, :]
    losses = torch.where(counts, margins, 0.0).sum((1, 2)) / rows.shape[1]
    if reduction == 0:
        return losses.reshape(value.shape[:-1])
    return losses.mean() if reduction == 1 else losses.sum()


def put(
    value: Tensor, indices: Sequence[Tensor | None], new: Tensor, accumulate: bool = False
) -> Tensor:
    """`value[indices] = new`; where a mask chooses, by element: how many it does is in the data."""
    masks = [index for index in indices if index is not None]
    (*_, mask), first = masks, len(indices) - 1
    trailing = value.ndim - first - mask.ndim
    count = new.ndim - trailing - 1  # the dimension of `new` that the chosen ones lie along
    is_same = count < 0 or new.shape[count] == 1
    if accumulate or len(masks) > 1 or mask.dtype != torch.bool or not is_same:
        return _ATEN.index_put.default(value, indices, new, accumulate)
    if count >= 0:
        new = new.reshape(*new.shape[:count], *[1] * mask.ndim, *new.shape[count + 1 :])
    return torch.where(mask.reshape(*[1] * first, *mask.shape, *[1] * trailing), new, value)


PARTS: Mapping[Any, Callable[..., Any]] = {
    _ATEN.pad.default: pad,
    _ATEN.index_put.default: put,
    _ATEN.grid_sampler.default: grid_sample,
    **{op: _row_major(op) for op in _ORDERED},
    _ATEN.bilinear.default: bilinear,
    _ATEN.cdist.default: distances,
    _ATEN.adaptive_max_pool1d.default: adaptive_max_pool,
    _ATEN.adaptive_max_pool2d.default: adaptive_max_pool,
    _ATEN.adaptive_max_pool3d.default: adaptive_max_pool,
    _ATEN._embedding_bag.default: _embedding_bag,
    _ATEN.embedding_bag.default: embedding_bag,
    _ATEN.embedding_bag.padding_idx: embedding_bag,
    _ATEN.multilabel_margin_loss.default: multilabel_margin,
}
"""Operator -> what to call in its place."""
