"""`weft::online_norm` against a float64 loop over samples written from the formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers.online_norm_loop import EPS, loop_backward, loop_forward
from torch import Tensor
from weft.backend.ops import online_norm, online_norm_composite

ALPHA_FWD, ALPHA_BKW = 0.97, 0.9
SHAPES = [(1, 6), (5, 6), (1, 6, 4, 3), (4, 6, 3, 5), (3, 6, 7), (2, 6, 2, 3, 2), (1, 2, 60, 40)]


def fresh_state(channels: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    return [torch.full((channels,), value, dtype=dtype) for value in (0.0, 1.0, 0.0, 0.0)]


def step(x: Tensor, grad: Tensor, state: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Forward and backward through autograd: y, grad_x and the four new states."""
    x = x.detach().requires_grad_()
    u, v = state[2].detach().requires_grad_(), state[3].detach().requires_grad_()
    y, _, mean, var = online_norm(x, state[0], state[1], u, v, ALPHA_FWD, ALPHA_BKW, EPS)
    grad_x, new_u, new_v = torch.autograd.grad(y, [x, u, v], grad)
    return y.detach(), grad_x, [mean, var, new_u, new_v]


def composite_step(
    x: Tensor, grad: Tensor, state: list[Tensor]
) -> tuple[Tensor, Tensor, list[Tensor]]:
    y, scale, *forward = online_norm_composite.forward(x, *state, ALPHA_FWD, ALPHA_BKW, EPS)
    grad_x, *backward = online_norm_composite.backward(grad, y, scale, *state[2:], ALPHA_BKW)
    return y, grad_x, [*forward, *backward]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
@pytest.mark.parametrize("run", [step, composite_step], ids=["cpu", "composite"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_the_loop_over_samples_for_50_batches(
    shape: tuple[int, ...], run: Callable[..., Any], dtype: torch.dtype, tolerance: float
) -> None:
    """In float32 the inputs are the same numbers, so what differs is rounding."""
    torch.manual_seed(len(shape))
    expected, actual = fresh_state(shape[1]), fresh_state(shape[1], dtype)
    for _ in range(50):
        x = (2 * torch.randn(shape) + 1).to(dtype)
        grad = torch.randn(shape).to(dtype)
        ys, scales, mean, var = loop_forward(x.double(), *expected[:2], ALPHA_FWD)
        grads, u, v = loop_backward(grad.double(), ys, scales, *expected[2:], ALPHA_BKW)
        expected = [mean, var, u, v]
        y, grad_x, actual = run(x, grad, actual)
        for ours, theirs in zip([y, grad_x, *actual], [ys, grads, *expected], strict=True):
            assert ours.dtype == dtype
            torch.testing.assert_close(ours.double(), theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("run", "tolerance"), [(step, 0), (composite_step, 1e-11)], ids=["cpu", "composite"]
)
@pytest.mark.parametrize("shape", [(60, 4), (60, 4, 3, 3)], ids=str)
@pytest.mark.parametrize("cut", [1, 2, 5, 12])
def test_the_cut_into_batches_does_not_matter(
    cut: int, shape: tuple[int, ...], run: Callable[..., Any], tolerance: float
) -> None:
    """Not by a bit on the CPU; the scan adds in another order."""
    torch.manual_seed(3)
    x, grad = torch.randn(2, *shape, dtype=torch.float64)
    whole = run(x, grad, fresh_state(4))
    state, ys, grads = fresh_state(4), [], []
    for x_part, grad_part in zip(x.split(cut), grad.split(cut), strict=True):
        y, grad_x, state = run(x_part, grad_part, state)
        ys.append(y)
        grads.append(grad_x)
    for ours, theirs in zip(
        [torch.cat(ys), torch.cat(grads), *state], [*whole[:2], *whole[2]], strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def test_stream_averages_of_the_gradient_are_orthogonal_to_one_and_to_y() -> None:
    """Integral controllers: the sum of <dx> is u itself, that of <g1*y> is v, and both are bounded.

    So the averages over T samples are u/T and v/T, and go to zero as 1/T.
    """
    torch.manual_seed(0)
    samples, channels = 4000, 3
    x = torch.randn(samples, channels, 4, dtype=torch.float64) * 3 + 2
    grad = torch.randn_like(x) + 0.5 + 0.8 * (x - 2) / 3
    y, grad_x, state = step(x, grad, fresh_state(channels))
    raw = grad.mean((0, 2)).abs().min(), (grad * y).mean((0, 2)).abs().min()
    assert min(raw) > 0.4
    torch.testing.assert_close(grad_x.mean(2).sum(0), state[2], rtol=1e-9, atol=1e-9)
    # g1 from dx alone: dx = g1/scale - (1-a)*u, with u the running sum of <dx>.
    _, scale, _, _ = loop_forward(x, *fresh_state(channels)[:2], ALPHA_FWD)
    u = grad_x.mean(2).cumsum(0) - grad_x.mean(2)
    g1 = (grad_x + (1 - ALPHA_BKW) * u.unsqueeze(2)) * scale.unsqueeze(2)
    torch.testing.assert_close((g1 * y).mean(2).sum(0), state[3], rtol=1e-9, atol=1e-9)
    horizon = 1 / (1 - ALPHA_BKW)
    for length in (100, 1000, 4000):
        assert grad_x[:length].mean((0, 2)).abs().max() < 2 * horizon / length
        assert (g1 * y)[:length].mean((0, 2)).abs().max() < 4 * horizon / length


def test_forward_uses_the_statistics_from_before_the_sample() -> None:
    state = fresh_state(2)
    x = torch.tensor([[3.0, -1.0]], dtype=torch.float64)
    y, _, new = step(x, torch.ones_like(x), state)
    torch.testing.assert_close(y, x / (1 + EPS) ** 0.5)
    torch.testing.assert_close(new[0], 0.03 * x[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_state_stays_float32_below_float64_activations(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    x, grad = torch.randn(2, 3, 4, 5, 5).to(dtype)
    wide = step(x.double(), grad.double(), fresh_state(4))
    y, grad_x, state = step(x, grad, fresh_state(4, torch.float32))
    assert y.dtype == grad_x.dtype == dtype
    assert all(value.dtype == torch.float32 for value in state)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    for ours, theirs in zip([y, grad_x, *state], [*wide[:2], *wide[2]], strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=tolerance, atol=tolerance)


def test_small_variance_far_from_zero_survives_float32() -> None:
    torch.manual_seed(2)
    x = 1000 + torch.randn(1, 4, 32, 32)
    state = [torch.full((4,), value) for value in (1000.0, 1.0, 0.0, 0.0)]
    _, _, new = step(x, torch.ones_like(x), state)
    _, _, _, var = loop_forward(x.double(), state[0].double(), state[1].double(), ALPHA_FWD)
    torch.testing.assert_close(new[1].double(), var, rtol=1e-6, atol=0)


def test_backward_reads_the_control_state_of_its_own_time() -> None:
    torch.manual_seed(4)
    x, grad = torch.randn(2, 2, 1, 3, dtype=torch.float64)
    sequential = step(torch.cat([*x]), torch.cat([*grad]), fresh_state(3))
    mean, var, u, v = fresh_state(3)
    inputs = [sample.clone().requires_grad_() for sample in x]
    outputs = []
    for sample in inputs:
        leaves = u.detach().requires_grad_(), v.detach().requires_grad_()
        y, _, mean, var = online_norm(sample, mean, var, *leaves, ALPHA_FWD, ALPHA_BKW, EPS)
        outputs.append((y, leaves))
    for index, (y, leaves) in enumerate(outputs):  # both forwards ran before the first backward
        grad_x, *new = torch.autograd.grad(y, [inputs[index], *leaves], grad[index])
        torch.testing.assert_close(grad_x[0], sequential[1][index], rtol=1e-12, atol=1e-12)
        u.copy_(new[0])
        v.copy_(new[1])


@pytest.mark.parametrize("shape", [(1, 3), (2, 3, 4, 4)], ids=str)
def test_operators_are_registered_soundly(shape: tuple[int, ...]) -> None:
    checks = ("test_schema", "test_faketensor", "test_autograd_registration")
    x = torch.randn(shape, requires_grad=True)
    state = fresh_state(3, torch.float32)
    state[2:] = [value.requires_grad_() for value in state[2:]]
    arguments = (x, *state, ALPHA_FWD, ALPHA_BKW, EPS)
    torch.library.opcheck(torch.ops.weft.online_norm.default, arguments, test_utils=checks)
    y, scale = torch.randn(shape), torch.rand(shape[:2])
    torch.library.opcheck(
        torch.ops.weft.online_norm_backward.default,
        (torch.randn(shape), y, scale, *fresh_state(3, torch.float32)[2:], ALPHA_BKW),
        test_utils=("test_schema", "test_faketensor"),
    )
