"""The compiled kernels of Online Normalization on torch tensors: float32 and float64, CPU.

Anything else (half precision, state of another dtype than x) goes to the composite. numba is
imported at the first call, and its machine code kept on disk, so importing weft costs nothing.
"""

from __future__ import annotations

import math
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.autograd.graph import increment_version
from torch.utils._python_dispatch import _get_current_dispatch_mode

from . import online_norm_composite as composite

_REALS = {torch.float32: np.float32, torch.float64: np.float64}


@lru_cache(maxsize=1)
def _kernels() -> ModuleType:
    from . import online_norm_kernels

    return online_norm_kernels


def forward(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    u: Tensor,
    v: Tensor,
    alpha_fwd: float,
    alpha_bkw: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`weft::online_norm`."""
    if x.dtype not in _REALS or not x.dtype == mean.dtype == var.dtype:
        return composite.forward(x, mean, var, u, v, alpha_fwd, alpha_bkw, eps)
    new_mean, new_var = _own(mean), _own(var)
    y, scale, _ = _normalise(x, new_mean, new_var, alpha_fwd, eps)
    return y, scale, new_mean, new_var


def backward(
    grad_y: Tensor, y: Tensor, scale: Tensor, u: Tensor, v: Tensor, alpha_bkw: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`weft::online_norm_backward`."""
    dtype = y.dtype
    if dtype not in _REALS or any(t.dtype != dtype for t in (grad_y, scale, u, v)):
        return composite.backward(grad_y, y, scale, u, v, alpha_bkw)
    new_u, new_v = _own(u), _own(v)
    y, scale = y.contiguous(), scale.contiguous()
    grad_x = _differentiate(grad_y, y, scale, new_u, new_v, alpha_bkw, None, None, math.inf, None)
    return grad_x, new_u, new_v


def takes(x: Tensor, *others: Tensor | None) -> bool:
    """Whether `normalise_transform` takes these tensors, here and now.

    Not while torch traces or transforms: there the operators must be seen.
    """
    dtype = x.dtype
    return (
        x.device.type == "cpu"
        and dtype in _REALS
        and all(t is None or (t.dtype == dtype and t.is_contiguous()) for t in others)
        and _get_current_dispatch_mode() is None
        and not torch._C._are_functorch_transforms_active()
    )


def normalise_transform(
    x: Tensor,
    state: tuple[Tensor, Tensor, Tensor, Tensor],
    affine: tuple[Tensor | None, Tensor | None],
    alphas: tuple[float, float],
    eps: float,
    bound: float,
) -> Tensor:
    """clamp(weight * y + bias, -bound, bound) of the normalised y, for tensors `takes` accepts.

    Advances mean and var of `state` (mean, var, u, v) in place, and u and v when the backward runs.
    """
    z = _NormaliseTransform.apply(x, *affine, state, alphas, eps, bound)
    assert z is not None
    return z


def _transform_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    y, scale, weight, bias = ctx.saved_tensors
    u, v = ctx.control
    sums = None if weight is None else y.new_empty((2, y.shape[1]))
    grad_x = _differentiate(grad, y, scale, u, v, ctx.alpha, weight, bias, ctx.bound, sums)
    increment_version((u, v))
    grad_bias, grad_weight = (None, None) if sums is None else sums.unbind()
    return grad_x, grad_weight, grad_bias, None, None, None, None


class _NormaliseTransform(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        state: tuple[Tensor, Tensor, Tensor, Tensor],
        alphas: tuple[float, float],
        eps: float,
        bound: float,
    ) -> Tensor:
        mean, var, *ctx.control = state
        ctx.alpha, ctx.bound = alphas[1], bound
        y, scale, z = _normalise(x, mean, var, alphas[0], eps, (weight, bias, bound))
        increment_version((mean, var))
        ctx.save_for_backward(y, scale, weight, bias)
        return z

    backward: Any = staticmethod(once_differentiable(_transform_backward))


def _normalise(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    alpha: float,
    eps: float,
    transform: tuple[Tensor | None, Tensor | None, float] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """y, scale and z (y itself without a transform); advances mean and var in place."""
    x = x.contiguous()
    y, scale = torch.empty_like(x), mean.new_empty((x.size(0), x.size(1)))
    weight, bias, bound = transform or (None, None, math.inf)
    z = torch.empty_like(x) if transform else None
    _kernels().forward(
        *_sizes(x),
        x.data_ptr(),
        mean.data_ptr(),
        var.data_ptr(),
        alpha,
        eps,
        y.data_ptr(),
        scale.data_ptr(),
        _address(weight),
        _address(bias),
        _REALS[x.dtype](bound),
        _address(z),
    )
    return y, scale, y if z is None else z


def _differentiate(
    grad: Tensor,
    y: Tensor,
    scale: Tensor,
    u: Tensor,
    v: Tensor,
    alpha: float,
    weight: Tensor | None,
    bias: Tensor | None,
    bound: float,
    sums: Tensor | None,
) -> Tensor:
    """Gradient of x; advances u and v in place, writes gradients of (bias, weight) to `sums`."""
    grad = grad.contiguous()
    grad_x = torch.empty_like(grad)
    _kernels().backward(
        *_sizes(y),
        grad.data_ptr(),
        y.data_ptr(),
        scale.data_ptr(),
        u.data_ptr(),
        v.data_ptr(),
        alpha,
        _address(weight),
        _address(bias),
        _REALS[y.dtype](bound),
        grad_x.data_ptr(),
        _address(sums),
    )
    return grad_x


def _own(state: Tensor) -> Tensor:
    return state.detach().clone(memory_format=torch.contiguous_format)


def _sizes(x: Tensor) -> tuple[int, int, int]:
    samples, channels = x.size(0), x.size(1)
    return samples, channels, x.numel() // max(1, samples * channels)


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()
