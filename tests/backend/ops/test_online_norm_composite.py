"""The compiled path of `OnlineNorm` against the operators followed by torch's affine and clamp."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
from weft.nn import OnlineNorm


def test_strided_inputs_and_gradients() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 5, 6, 4, dtype=torch.float64)
    norm, other = OnlineNorm(4).double(), OnlineNorm(4).double()
    strided = x.permute(0, 3, 1, 2).requires_grad_()
    packed = strided.detach().contiguous().requires_grad_()
    norm(strided).sum().backward()  # the gradient is expanded, of stride 0
    other(packed).backward(torch.ones(2, 4, 5, 6, dtype=torch.float64))
    assert torch.equal(strided.grad, packed.grad)
    assert torch.equal(norm.u, other.u)


def test_frozen_weights_get_no_gradient_and_change_nothing_else() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 3)
    free, frozen = OnlineNorm(4), OnlineNorm(4).requires_grad_(False)
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    free(one).pow(3).sum().backward()
    frozen(other).pow(3).sum().backward()
    assert torch.equal(one.grad, other.grad)
    assert frozen.weight.grad is None


def test_second_derivatives_are_refused_instead_of_wrong() -> None:
    x = torch.randn(2, 4, 3, requires_grad=True)
    (grad,) = torch.autograd.grad(OnlineNorm(4)(x).pow(3).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_are_not_hidden(value: float) -> None:
    x = torch.zeros(1, 2, 4, 4)
    x[0, 0, 1, 2] = value
    x.requires_grad_()
    norm = OnlineNorm(2, ecm=None)
    y = norm(x)
    y.sum().backward()
    assert not y[0, 0].isfinite().all()
    assert not x.grad[0, 0].isfinite().all()
    assert not norm.var[0].isfinite()
    assert x.grad[0, 1].isfinite().all()
    assert norm.var[1].isfinite()


def test_importing_weft_does_not_import_the_compiler_of_kernels() -> None:
    code = "import sys, weft.nn; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
