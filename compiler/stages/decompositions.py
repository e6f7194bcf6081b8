"""torch's own decompositions, for the operators that a plan has no kernel for.

Core ATen's always apply. Any other operator is written out only if there is no kernel for it: where
its backward has neither a kernel nor a decomposition, before autograd sees it, so that the backward
is that of the parts; otherwise as it is traced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch._C import DispatchKey
from torch._decomp import (
    _core_aten_decompositions_post_autograd,
    decomposition_table,
    get_decompositions,
)
from torch._ops import OpOverload

from ..capture.draws import is_random
from ..kernels.registry import KERNELS
from .parts import PARTS

_ATEN = torch.ops.aten
_BATCH_NORMALIZATION = (
    _ATEN._native_batch_norm_legit,
    _ATEN._native_batch_norm_legit_no_training,
    _ATEN.native_batch_norm_backward,
)
"""Of weights, which is how weight standardization is written, and with fixed statistics."""
_SIXTH = float(torch.tensor(1 / 6, dtype=torch.float32))


def hard_sigmoid_backward(gradient: Tensor, value: Tensor) -> Tensor:
    """The derivative that torch's kernel computes: its sixth is that of float32 in every type."""
    return torch.where((value > -3.0) & (value < 3.0), gradient * _SIXTH, 0.0)


def soft_margin_backward(gradient: Tensor, value: Tensor, target: Tensor, reduction: int) -> Tensor:
    """Of log(1 + exp(-target value)); torch's takes 1 from a sigmoid, and loses its last digits."""
    found = -gradient * target * torch.sigmoid(-target * value)
    return found / value.numel() if reduction == 1 else found


@lru_cache(maxsize=1)
def decompositions() -> Mapping[Any, Callable[..., Any]]:
    """Operator -> what to trace in its place, by the operators that torch dispatches to."""
    core = _core_aten_decompositions_post_autograd()
    return {
        **{op: decompose for op, decompose in decomposition_table.items() if _is_spare(op)},
        **core,
        **get_decompositions(_BATCH_NORMALIZATION),
        _ATEN.hardsigmoid_backward.default: hard_sigmoid_backward,
        _ATEN.soft_margin_loss_backward.default: soft_margin_backward,
    }


def _is_spare(op: Any) -> bool:
    """Whether an operator has no kernel, is made of no others, and returns all that it does."""
    if not isinstance(op, OpOverload) or op._schema.is_mutable or is_random(op):
        return False
    return op.namespace == "aten" and str(op) not in KERNELS and not op._can_decompose()


@lru_cache(maxsize=4096)
def before_autograd(op: Any) -> Callable[..., Any] | None:
    """What to call in the place of an operator whose derivative has neither a kernel nor a
    decomposition; None for the others, and where there is no decomposition of it either."""
    if op in PARTS:
        return PARTS[op]
    if not isinstance(op, OpOverload) or op.namespace != "aten" or is_random(op):
        return None
    name = f"{op._schema.name}_backward"
    if not torch._C._dispatch_has_kernel(name):
        return None
    backward = getattr(_ATEN, name.removeprefix("aten::"))
    if any(_is_known(getattr(backward, overload)) for overload in backward.overloads()):
        return None
    found = op.py_kernels.get(DispatchKey.Autograd)
    return found if callable(found) else decomposition_table.get(op)


def _is_known(op: OpOverload) -> bool:
    return str(op) in KERNELS or op in decompositions() or op._can_decompose()
