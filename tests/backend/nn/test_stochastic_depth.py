"""A residual function is left out for whole samples, and is itself in the mean."""

from __future__ import annotations

import torch
from torch import nn
from weft.backend.nn.stochastic_depth import StochasticDepth


def test_samples_have_all_of_the_function_or_nothing() -> None:
    torch.manual_seed(0)
    dropped = StochasticDepth(nn.Identity(), 0.25)
    samples = dropped(torch.ones(4000, 2, 3)).flatten(1)
    kept = samples[:, 0] != 0
    assert torch.equal(samples[kept], torch.full_like(samples[kept], 1 / 0.75))
    assert not samples[~kept].any()
    assert abs(float(kept.float().mean()) - 0.75) < 0.03


def test_in_evaluation_and_at_rate_zero_it_is_the_function() -> None:
    x = torch.randn(5, 2)
    assert torch.equal(StochasticDepth(nn.Identity(), 0.9).eval()(x), x)
    assert torch.equal(StochasticDepth(nn.Identity(), 0.0)(x), x)
