"""Multiply-accumulates of one operator; all counts of weft are made here.

Torch's own formulas (`torch.utils.flop_counter`), but for those it has wrong or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from ..ops import routed_product

assert routed_product  # registers torch.ops.weft

aten = torch.ops.aten


def operator_macs(
    operator: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any
) -> int:
    """Multiply-accumulates of a product, convolution or attention, tensors by shape; else 0.

    Positions that padding adds count as any other, and so does what a causal mask leaves out.
    """
    packet = getattr(operator, "overloadpacket", None)
    if packet in _FORMULAS:
        return _FORMULAS[packet](*args, **kwargs)
    formula = flop_registry.get(packet)
    return formula(*args, **kwargs, out_val=result) // 2 if formula else 0


def _convolution_backward(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    _bias_sizes: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: int,
    output_mask: Sequence[bool],
) -> int:
    """As many as the forward for the input's gradient, and again for the weight's.

    Each weight meets each position once in either; torch's formula takes the weight's gradient
    for that of a dense convolution, too much by the number of groups.
    """
    positions = prod((x if transposed else gradient).shape[2:])
    return sum(output_mask[:2]) * x.shape[0] * positions * weight.numel()


def _vector(matrix: Tensor, _: Tensor) -> int:
    return matrix.numel()


def _added_vector(_: Tensor, matrix: Tensor, __: Tensor, **_scales: Any) -> int:
    return matrix.numel()


def _added_batch(_: Tensor, left: Tensor, right: Tensor, **_scales: Any) -> int:
    return left.numel() * right.shape[-1]


def _attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query.shape, key.shape, value.shape) // 2


def _routed(x: Tensor, weight: Tensor, *_: Any) -> int:
    """Each row meets the weight of its expert alone."""
    return x.numel() * weight.shape[2]


def _routed_weight(x: Tensor, gradient: Tensor, *_: Any) -> int:
    return x.numel() * gradient.shape[1]


_FORMULAS: dict[Any, Callable[..., int]] = {
    aten.convolution_backward: _convolution_backward,
    aten.mv: _vector,
    aten.addmv: _added_vector,
    aten.dot: _vector,
    aten.addbmm: _added_batch,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.weft.routed_mm: _routed,
    torch.ops.weft.routed_mm_weight: _routed_weight,
}
