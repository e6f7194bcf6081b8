"""The linear recurrence s[t+1] = a[t] * s[t] + b[t] over a batch, without a loop over samples."""

from __future__ import annotations

import pytest
import torch
from weft.backend.ops.scan import linear_scan


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 8, 13])
def test_linear_scan_is_the_recurrence(steps: int) -> None:
    torch.manual_seed(steps)
    decay, increment = torch.randn(2, steps, 4, dtype=torch.float64)
    state = torch.randn(4, dtype=torch.float64)
    before, after = linear_scan(decay, increment, state)
    for t in range(steps):
        torch.testing.assert_close(before[t], state, rtol=1e-12, atol=1e-12)
        state = decay[t] * state + increment[t]
    torch.testing.assert_close(after, state, rtol=1e-12, atol=1e-12)
