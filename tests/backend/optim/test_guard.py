from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from weft.backend.optim import Guard


@pytest.mark.parametrize("norm", [0.1, 3.0, 1e6])
def test_clipping_is_that_of_torch(norm: float) -> None:
    torch.manual_seed(0)
    parameters = [torch.zeros(3, 4, requires_grad=True), torch.zeros(5, requires_grad=True)]
    gradients = [torch.randn(p.shape) for p in parameters]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    torch.nn.utils.clip_grad_norm_(parameters, norm)
    clipped, is_finite = Guard(norm)(gradients, torch)
    assert is_finite
    for parameter, got in zip(parameters, clipped, strict=True):
        torch.testing.assert_close(got, parameter.grad, rtol=1e-4, atol=1e-6)


def test_zero_gradients_stay_zero() -> None:
    clipped, is_finite = Guard(1.0)([torch.zeros(3)], torch)
    assert is_finite
    assert torch.equal(clipped[0], torch.zeros(3))


@pytest.mark.parametrize(
    ("bad", "clip_norm"),
    [(bad, norm) for bad in (math.nan, math.inf, -math.inf, 1e30) for norm in (None, 1.0)],
)
def test_one_bad_entry_refuses_the_whole_stage(bad: float, clip_norm: float | None) -> None:
    gradients = [torch.ones(3), torch.tensor([1.0, bad])]
    assert not Guard(clip_norm)(gradients, torch)[1]


def test_half_precision_does_not_overflow() -> None:
    """1000 entries of 1000 have a squared norm beyond float16."""
    gradients = [torch.full((1000,), 1000.0, dtype=torch.float16)]
    (clipped,), is_finite = Guard(1.0)(gradients, torch)
    assert is_finite
    assert clipped.dtype == torch.float16
    assert abs(float(clipped.double().norm()) - 1) < 1e-2


def test_jax_does_the_same() -> None:
    jnp = pytest.importorskip("jax.numpy")
    values = [np.linspace(-2, 3, 7, dtype=np.float32), np.ones((2, 2), np.float32)]
    ours, _ = Guard(0.5)([torch.from_numpy(v) for v in values], torch)
    theirs, is_finite = Guard(0.5)([jnp.array(v) for v in values], jnp)
    assert bool(is_finite)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6)
    assert not bool(Guard()([jnp.array([jnp.inf])], jnp)[1])
