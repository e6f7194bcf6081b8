"""Filter Response, Batch-Channel, and Weight Standardization, from their papers' formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.backend.nn import BatchChannelNorm, FilterResponseNorm
from weft.nn import make_norm

REAL = torch.float64


def randomised(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module.to(REAL)


@pytest.mark.parametrize("learnable_eps", [True, False])
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4, 5)], ids=str)
def test_filter_response_norm_and_threshold(shape: tuple[int, ...], learnable_eps: bool) -> None:
    norm = randomised(FilterResponseNorm(3, learnable_eps=learnable_eps))
    x = torch.randn(shape, dtype=REAL)
    y = norm(x).detach().numpy()
    values = {name: p.detach().numpy() for name, p in norm.named_parameters()}
    for n, c in np.ndindex(*shape[:2]):
        pixels = x[n, c].numpy()
        eps = 1e-6 + (abs(values["extra_eps"][c]) if learnable_eps else 0)
        normal = pixels / np.sqrt((pixels**2).mean() + eps)
        expected = np.maximum(
            values["weight"][c] * normal + values["bias"][c], values["threshold"][c]
        )
        np.testing.assert_allclose(y[n, c], expected, rtol=1e-12, atol=1e-12)


def test_filter_response_norm_does_not_depend_on_the_input_scale() -> None:
    norm, x = (
        randomised(FilterResponseNorm(3, eps=0.0, tlu=False)),
        torch.randn(2, 3, 4, dtype=REAL),
    )
    torch.testing.assert_close(norm(7 * x), norm(x))


@pytest.mark.parametrize("kind", ["rms", "filter_response", "batch_channel", "group", "layer"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_neither_overflows_nor_widens(kind: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    norm, x = make_norm(kind, 4), 1000 * torch.randn(1, 4, 5, 5)
    expected = norm(x)
    y = make_norm(kind, 4).to(dtype)(x.to(dtype))
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), expected, rtol=0.05, atol=0.05)


def batch_channel_loop(norm: BatchChannelNorm, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    """One training step of Qiao et al. with gradients; advances mean and var in place."""
    wide = x.detach()
    axes, spread = (0, 2), (1, -1, 1)
    second = (wide - mean.view(spread)).square().mean(axes)
    mean.mul_(0.7).add_(0.3 * wide.mean(axes))
    var.mul_(0.7).add_(0.3 * second)
    y = (x - mean.view(spread)) / torch.sqrt(var + 1e-5).view(spread)
    y = y * norm.weight.view(spread) + norm.bias.view(spread)
    groups = y.view(x.shape[0], norm.groups, -1)
    deviation = torch.sqrt(groups.var(2, unbiased=False, keepdim=True) + 1e-5)
    groups = (groups - groups.mean(2, keepdim=True)) / deviation
    return (groups * norm.group_weight[:, None] + norm.group_bias[:, None]).view(x.shape)


@pytest.mark.parametrize("batch", [1, 3])
def test_batch_channel_norm_equals_the_loop(batch: int) -> None:
    norm = randomised(BatchChannelNorm(6, groups=2, momentum=0.3))
    mean, var = torch.zeros(6, dtype=REAL), torch.ones(6, dtype=REAL)
    for _ in range(8):
        x = (2 * torch.randn(batch, 6, 5, dtype=REAL) + 1).requires_grad_()
        again = x.detach().clone().requires_grad_()
        y, expected = norm(x), batch_channel_loop(norm, again, mean, var)
        torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
        (ours,) = torch.autograd.grad(y.pow(3).sum(), x)
        (theirs,) = torch.autograd.grad(expected.pow(3).sum(), again)
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(norm.mean, mean, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(norm.var, var, rtol=1e-12, atol=1e-12)
    before = norm.mean.clone()
    norm.eval()(torch.randn(batch, 6, 5, dtype=REAL))
    assert torch.equal(norm.mean, before)


def test_batch_channel_estimates_stay_float32() -> None:
    norm = BatchChannelNorm(4, groups=2).to(torch.bfloat16)
    y = norm(torch.randn(1, 4, 3, dtype=torch.bfloat16))
    assert y.dtype == norm.weight.dtype == torch.bfloat16
    assert norm.mean.dtype == norm.var.dtype == torch.float32


def test_batch_channel_estimates_advance_once_under_checkpointing() -> None:
    torch.manual_seed(0)
    norm, other = BatchChannelNorm(4, groups=2), BatchChannelNorm(4, groups=2)
    x = torch.randn(2, 4, 3, requires_grad=True)
    again = x.detach().clone().requires_grad_()
    norm(x).pow(3).sum().backward()
    torch.utils.checkpoint.checkpoint(other, again, use_reentrant=False).pow(3).sum().backward()
    assert torch.equal(x.grad, again.grad)
    assert torch.equal(norm.mean, other.mean)


def test_batch_channel_groups_must_divide_the_channels() -> None:
    with pytest.raises(UserError, match="divisor of 6"):
        BatchChannelNorm(6, groups=4)
    assert make_norm("batch_channel", 6).groups == 3
