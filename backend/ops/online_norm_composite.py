"""The operators of Online Normalization in torch's own operations, for every device and dtype.

A batch is not looped over: only (N, C) statistics enter the recurrences, and `linear_scan` solves
those.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .scan import leaky_sum, linear_scan, moving_average


def _pixels(x: Tensor, dtype: torch.dtype) -> Tensor:
    """(N, C, *spatial) as (N, C, P). A feature is an image of one pixel: all formulas agree."""
    return x.to(dtype).reshape(x.shape[0], x.shape[1], -1)


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


def backward(
    grad_y: Tensor, y: Tensor, scale: Tensor, u: Tensor, v: Tensor, alpha_bkw: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`weft::online_norm_backward`."""
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
