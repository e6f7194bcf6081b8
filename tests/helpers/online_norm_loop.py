"""Online Normalization as a loop over samples, written from the formulas (Chiley et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor

EPS = 1e-5


def average(sample: Tensor) -> Tensor:
    """Mean over space of one sample (C, *spatial); the value itself for (C,)."""
    return sample.reshape(sample.shape[0], -1).mean(1)


def loop_forward(
    x: Tensor, mean: Tensor, var: Tensor, alpha: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """y and scale of all samples, then the new mean and var."""
    ys, scales = [], []
    spread = [-1] + [1] * (x.dim() - 2)
    for sample in x:
        scale = (var + EPS).sqrt()
        ys.append((sample - mean.view(spread)) / scale.view(spread))
        scales.append(scale)
        sample_mean = average(sample)
        sample_var = average((sample - sample_mean.view(spread)) ** 2)
        d = sample_mean - mean
        var = alpha * var + (1 - alpha) * sample_var + alpha * (1 - alpha) * d**2
        mean = mean + (1 - alpha) * d
    return torch.stack(ys), torch.stack(scales), mean, var


def loop_backward(
    grad: Tensor, ys: Tensor, scales: Tensor, u: Tensor, v: Tensor, alpha: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient of x, then the new u and v."""
    grads = []
    spread = [-1] + [1] * (grad.dim() - 2)
    for g, y, scale in zip(grad, ys, scales, strict=True):
        g1 = g - (1 - alpha) * v.view(spread) * y
        v = v + average(g1 * y)
        dx = g1 / scale.view(spread) - (1 - alpha) * u.view(spread)
        u = u + average(dx)
        grads.append(dx)
    return torch.stack(grads), u, v


class LoopState:
    """The four states of one normalization, which `LoopNorm` advances."""

    def __init__(self, channels: int, alpha_fwd: float, alpha_bkw: float) -> None:
        self.alpha_fwd, self.alpha_bkw = alpha_fwd, alpha_bkw
        self.mean, self.u, self.v = torch.zeros(3, channels, dtype=torch.float64)
        self.var = torch.ones(channels, dtype=torch.float64)

    def __call__(self, x: Tensor) -> Tensor:
        return LoopNorm.apply(x, self)


class LoopNorm(torch.autograd.Function):
    """The loop under autograd."""

    @staticmethod
    def forward(ctx, x, state):
        y, scale, state.mean, state.var = loop_forward(x, state.mean, state.var, state.alpha_fwd)
        ctx.save_for_backward(y, scale)
        ctx.state = state
        return y

    @staticmethod
    def backward(ctx, grad):
        state = ctx.state
        grad_x, state.u, state.v = loop_backward(
            grad, *ctx.saved_tensors, state.u, state.v, state.alpha_bkw
        )
        return grad_x, None
