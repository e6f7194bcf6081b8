"""The linear recurrence s[t+1] = a[t] * s[t] + b[t] over a batch, without a loop over samples."""

from __future__ import annotations

import torch
from torch import Tensor


def linear_scan(decay: Tensor, increment: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """States before every step, and the state after the last one.

    decay and increment are (N, C), start is (C,); returns (N, C) and (C,). Hillis-Steele: step k
    composes every affine map with the one 2^k samples earlier, so log2(N) steps do.
    """
    steps = increment.shape[0]
    if steps == 1:
        return start.unsqueeze(0), torch.addcmul(increment[0], decay[0], start)
    reach = 1
    while reach < steps:
        carried = torch.addcmul(increment[reach:], decay[reach:], increment[:-reach])
        increment = torch.cat([increment[:reach], carried])
        decay = torch.cat([decay[:reach], decay[reach:] * decay[:-reach]])
        reach *= 2
    states = torch.cat([start.unsqueeze(0), torch.addcmul(increment, decay, start)])
    return states[:-1], states[-1].clone()


def leaky_sum(values: Tensor, start: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """s[t+1] = alpha * s[t] + values[t], as `linear_scan`."""
    if values.shape[0] == 1:
        return start.unsqueeze(0), torch.add(values[0], start, alpha=alpha)
    return linear_scan(torch.full_like(values, alpha), values, start)


def moving_average(values: Tensor, start: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """s[t+1] = alpha * s[t] + (1 - alpha) * values[t], as `linear_scan`."""
    if values.shape[0] == 1:
        return start.unsqueeze(0), torch.lerp(start, values[0], 1 - alpha)
    return leaky_sum(values * (1 - alpha), start, alpha)
