"""Normalizations that also work at batch size 1, to compare Online Normalization with."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError
from .state import StreamingState, as_dtype, inside_backward, is_replayed, per_channel


def _square(x: Tensor) -> Tensor:
    """In float32 at least: the square of 256 overflows in half precision."""
    return as_dtype(x, torch.promote_types(x.dtype, torch.float32)).square()


def _inverse_root(power: Tensor, like: Tensor) -> Tensor:
    return as_dtype(torch.rsqrt(power), like.dtype)


class RMSNorm(nn.Module):
    """Divide a sample by its root mean square over all features, then weight per channel.

    (N, C) or (N, C, *spatial); y = weight * x / sqrt(mean(x^2) + eps). No state.
    """

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        power = _square(x).mean(tuple(range(1, x.dim())), keepdim=True)
        return x * _inverse_root(power + self.eps, x) * per_channel(self.weight, x)


class FilterResponseNorm(nn.Module):
    """Filter Response Normalization and thresholded linear unit (Singh and Krishnan, CVPR 2020).

    y = x / sqrt(mean(x^2 over space) + eps) per sample and channel, z = weight*y + bias, and with
    `tlu` max(z, threshold), which takes the place of the ReLU that would follow. (N, C) or
    (N, C, *spatial). Without space y is close to the sign of x, and the paper advises
    `learnable_eps`, which adds the magnitude of a parameter per channel to eps. No state.
    """

    def __init__(
        self, num_features: int, eps: float = 1e-6, tlu: bool = True, learnable_eps: bool = False
    ) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.threshold = nn.Parameter(torch.zeros(num_features)) if tlu else None
        self.extra_eps = nn.Parameter(torch.full((num_features,), 1e-4)) if learnable_eps else None

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        power = _square(x)
        if x.dim() > 2:
            power = power.mean(tuple(range(2, x.dim())), keepdim=True)
        if self.extra_eps is not None:
            power = power + per_channel(self.extra_eps.abs(), x)
        y = x * _inverse_root(power + self.eps, x)
        z = y * per_channel(self.weight, x) + per_channel(self.bias, x)
        if self.threshold is None:
            return z
        threshold = per_channel(self.threshold, x)
        return F.relu(z - threshold) + threshold


class BatchChannelNorm(StreamingState):
    """Batch-Channel Normalization for micro-batches (Qiao et al. 2019, arXiv:1903.10520).

    Channels are normalised with running estimates and given `weight` and `bias`; then groups of
    channels of each sample are normalised and given `group_weight` and `group_bias`. The estimates
    take in the present batch before they are used (the variance about the former mean), and no
    gradient flows through them. (N, C) or (N, C, *spatial); by default groups as `GroupNorm`'s.

    A forward inside a backward pass is taken for a recomputation and does not advance the state.
    """

    state_names = ("mean", "var")
    mean: Tensor
    var: Tensor

    def __init__(
        self, num_features: int, groups: int, momentum: float = 0.1, eps: float = 1e-5
    ) -> None:
        super().__init__()
        if num_features % groups:
            raise UserError(
                "BatchChannelNorm: groups",
                expected=f"a divisor of {num_features} channels",
                got=str(groups),
                change="set groups",
            )
        self.groups, self.momentum, self.eps = groups, momentum, eps
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.group_weight = nn.Parameter(torch.ones(groups))
        self.group_bias = nn.Parameter(torch.zeros(groups))
        self.add_state(num_features)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape and dtype as x."""
        mean, var = self._estimates(x)
        y = (x - per_channel(mean, x)) / per_channel((var + self.eps).sqrt(), x)
        y = as_dtype(y, x.dtype) * per_channel(self.weight, x) + per_channel(self.bias, x)
        y = F.group_norm(y.reshape(x.shape[0], self.groups, -1), self.groups, eps=self.eps)
        return (y * self.group_weight[:, None] + self.group_bias[:, None]).reshape(x.shape)

    def _estimates(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if not self.training or (inside_backward() and not is_replayed()):
            return self.mean, self.var
        with torch.no_grad():
            wide = as_dtype(x.detach(), self.mean.dtype)
            axes = (0, *range(2, x.dim()))
            spread = (wide - per_channel(self.mean, x)).square().mean(axes)
            mean = self.mean + self.momentum * (wide.mean(axes) - self.mean)
            var = self.var + self.momentum * (spread - self.var)
            self.mean.copy_(mean)
            self.var.copy_(var)
        return mean, var
