"""Online Normalization as a pair of functional operators (Chiley et al., NeurIPS 2019).

`weft::online_norm` normalises sample t of a batch with the streaming statistics from before
sample t; `weft::online_norm_backward` removes from the gradient, in the stream average, its
components along 1 and along y. All state goes in and comes out explicitly. The control state
(u, v) belongs to the backward pass: autograd returns the NEW u and v as the "gradients" of u and
v, which keeps a joint forward/backward graph purely functional.

A batch gives what its samples would give one after the other, whatever the cut of the stream:
only (N, C) statistics enter the recurrences, and those are solved by `linear_scan`.

State has its own dtype (float32, or float64 in a float64 network), never that of half-precision
activations: 1 - alpha would round away there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .scan import leaky_sum, linear_scan, moving_average

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


def _pixels(x: Tensor, dtype: torch.dtype) -> Tensor:
    """(N, C, *spatial) as (N, C, P). A feature is an image of one pixel: all formulas agree."""
    return x.to(dtype).reshape(x.shape[0], x.shape[1], -1)


def _forward_kernel(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    u: Tensor,
    v: Tensor,
    alpha_fwd: float,
    alpha_bkw: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    dtype, state = torch.promote_types(x.dtype, mean.dtype), mean.dtype
    pixels = _pixels(x, dtype)
    averages = pixels.mean(2)
    means, new_mean = moving_average(averages, mean.to(dtype), alpha_fwd)
    centred = pixels - means.unsqueeze(2)
    # With d = average - mean, <centred^2> is the sample's variance + d^2, so the update
    # (1-a)*variance + a*(1-a)*d^2 is (1-a)*(<centred^2> - (1-a)*d^2): for a near 1 nothing cancels.
    power = torch.linalg.vecdot(centred, centred) / pixels.shape[2]
    step = averages - means
    spread = power.addcmul_(step, step, value=alpha_fwd - 1)
    variances, new_var = moving_average(spread, var.to(dtype), alpha_fwd)
    scale = (variances + eps).sqrt_()
    y = centred.div_(scale.unsqueeze(2)).view(x.shape)
    return y.to(x.dtype), scale.to(state), new_mean.to(state), new_var.to(state)


def _backward_kernel(
    grad_y: Tensor, y: Tensor, scale: Tensor, u: Tensor, v: Tensor, alpha_bkw: float
) -> tuple[Tensor, Tensor, Tensor]:
    dtype = torch.promote_types(grad_y.dtype, scale.dtype)
    grad, normal, scale = _pixels(grad_y, dtype), _pixels(y, dtype), scale.to(dtype)
    leak, count = 1 - alpha_bkw, grad.shape[2]
    # <g1*y> = <g*y> - leak*v*<y*y>: the projection's own recurrence, linear in v.
    projection = torch.linalg.vecdot(grad, normal) / count
    power = torch.linalg.vecdot(normal, normal) / count
    vs, new_v = linear_scan(1 - leak * power, projection, v.to(dtype))
    along_y = leak * vs
    # <dx> = <g2> - leak*u, hence u' = alpha_bkw*u + <g2>.
    mean_grad = grad.mean(2).addcmul_(along_y, normal.mean(2), value=-1).div_(scale)
    us, new_u = leaky_sum(mean_grad, u.to(dtype), alpha_bkw)
    # dx = (g - along_y*y)/scale - leak*u, in two passes over the pixels.
    grad_x = torch.addcmul((-leak * us).unsqueeze(2), normal, (-along_y / scale).unsqueeze(2))
    grad_x = grad_x.addcmul_(grad, scale.reciprocal().unsqueeze(2)).view(y.shape)
    return grad_x.to(grad_y.dtype), new_u.to(u.dtype), new_v.to(v.dtype)


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
    return torch.empty_like(x), scale, torch.empty_like(mean), torch.empty_like(var)


def _backward_fake(
    grad_y: Tensor, y: Tensor, scale: Tensor, u: Tensor, v: Tensor, alpha_bkw: float
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(grad_y), torch.empty_like(u), torch.empty_like(v)


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


_LIBRARY.impl("online_norm", _forward_kernel, "CompositeExplicitAutograd")
_LIBRARY.impl("online_norm_backward", _backward_kernel, "CompositeExplicitAutograd")
torch.library.register_fake("weft::online_norm", _forward_fake, lib=_LIBRARY)
torch.library.register_fake("weft::online_norm_backward", _backward_fake, lib=_LIBRARY)
torch.library.register_autograd(
    "weft::online_norm", _autograd, setup_context=_save_for_backward, lib=_LIBRARY
)
