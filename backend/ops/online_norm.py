"""Online Normalization as a pair of functional operators (Chiley et al., NeurIPS 2019).

`weft::online_norm` normalises sample t of a batch with the streaming statistics from before
sample t; `weft::online_norm_backward` removes from the gradient, in the stream average, its
components along 1 and along y. All state goes in and comes out explicitly. The control state
(u, v) belongs to the backward pass: autograd returns the NEW u and v as the "gradients" of u and
v, which keeps a joint forward/backward graph purely functional.

A batch gives what its samples would give one after the other, whatever the cut of the stream. On
the CPU compiled kernels do the work in float32 and float64 (`online_norm_cpu`), everywhere else
torch's operations (`online_norm_composite`).

State has its own dtype (float32, or float64 in a float64 network), never that of half-precision
activations: 1 - alpha would round away there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import online_norm_composite, online_norm_cpu

_LIBRARY = torch.library.Library("weft", "DEF")
_LIBRARY.define(
    "online_norm(Tensor x, Tensor mean, Tensor var, Tensor u, Tensor v, float alpha_fwd, "
    "float alpha_bkw, float eps) -> (Tensor y, Tensor scale, Tensor new_mean, Tensor new_var)",
    tags=(torch.Tag.pt2_compliant_tag,),
)
_LIBRARY.define(
    "online_norm_backward(Tensor grad_y, Tensor y, Tensor scale, Tensor u, Tensor v, "
    "float alpha_bkw) -> (Tensor grad_x, Tensor new_u, Tensor new_v)",
    tags=(torch.Tag.pt2_compliant_tag,),
)


def online_norm(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    u: Tensor,
    v: Tensor,
    alpha_fwd: float,
    alpha_bkw: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Normalise x (N, C) or (N, C, *spatial); returns y like x, scale (N, C), new mean, new var.

    mean, var, u, v are (C,). Differentiable in x; the "gradients" of u and v are their new values.
    """
    return torch.ops.weft.online_norm.default(x, mean, var, u, v, alpha_fwd, alpha_bkw, eps)


def _contiguous_like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _forward_fake(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    u: Tensor,
    v: Tensor,
    alpha_fwd: float,
    alpha_bkw: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    scale = mean.new_empty((x.shape[0], x.shape[1]))
    return _contiguous_like(x), scale, torch.empty_like(mean), torch.empty_like(var)


def _backward_fake(
    grad_y: Tensor, y: Tensor, scale: Tensor, u: Tensor, v: Tensor, alpha_bkw: float
) -> tuple[Tensor, Tensor, Tensor]:
    return _contiguous_like(grad_y), torch.empty_like(u), torch.empty_like(v)


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _, _, _, u, v, _, alpha_bkw, _ = inputs
    y, scale, new_mean, new_var = output
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(scale, new_mean, new_var)
    ctx.save_for_backward(y, scale)
    # Not `save_for_backward`: u and v advance in the order of the backward passes, so a backward
    # reads what they hold when it runs, not what they held at its forward.
    ctx.u, ctx.v, ctx.alpha_bkw = u, v, alpha_bkw


def _autograd(ctx: Any, grad_y: Tensor | None, *_: object) -> tuple[Tensor | None, ...]:
    if grad_y is None:
        return (None,) * 8
    y, scale = ctx.saved_tensors
    grad_x, new_u, new_v = torch.ops.weft.online_norm_backward.default(
        grad_y, y, scale, ctx.u, ctx.v, ctx.alpha_bkw
    )
    return grad_x, None, None, new_u, new_v, None, None, None


_LIBRARY.impl("online_norm", online_norm_composite.forward, "CompositeExplicitAutograd")
_LIBRARY.impl("online_norm_backward", online_norm_composite.backward, "CompositeExplicitAutograd")
_LIBRARY.impl("online_norm", online_norm_cpu.forward, "CPU")
_LIBRARY.impl("online_norm_backward", online_norm_cpu.backward, "CPU")
torch.library.register_fake("weft::online_norm", _forward_fake, lib=_LIBRARY)
torch.library.register_fake("weft::online_norm_backward", _backward_fake, lib=_LIBRARY)
torch.library.register_autograd(
    "weft::online_norm", _autograd, setup_context=_save_for_backward, lib=_LIBRARY
)
