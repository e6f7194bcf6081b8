"""Convolutions by rows of columns against torch's own, with their gradients, in whole numbers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

jax = pytest.importorskip("jax")

from weft.runtime.jax.ops.convolution import (  # noqa: E402
    Columns,
    Window,
    convolution,
    convolution_backward,
)

pytestmark = pytest.mark.skipif(
    jax.default_backend() != "cpu", reason="elsewhere they are XLA's own"
)

CASES = {
    "plain": ((1, 2, 9, 8), (3, 2, 3, 3), (1, 1)),
    "two samples, another padding": ((2, 3, 12, 11), (2, 3, 3, 2), (2, 1)),
    "no padding": ((1, 2, 9, 7), (2, 2, 2, 3), (0, 0)),
    "far padding": ((3, 2, 12, 12), (4, 2, 3, 3), (2, 2)),
    "tall kernel": ((1, 1, 10, 9), (1, 1, 5, 4), (1, 0)),
}


@pytest.mark.parametrize("name", CASES)
def test_by_rows_a_convolution_and_its_gradients_are_those_of_torch(name: str) -> None:
    shape, kernel, padding = CASES[name]
    generator = torch.Generator().manual_seed(0)

    def whole(*sizes: int) -> torch.Tensor:
        return torch.randint(-3, 4, sizes, generator=generator).float()

    x, weight, bias = (whole(*s).requires_grad_() for s in (shape, kernel, kernel[:1]))
    y = F.conv2d(x, weight, bias, padding=padding)
    grad = whole(*y.shape)
    expected = (y, *torch.autograd.grad(y, (x, weight, bias), grad))
    window = (1, 1), padding, (1, 1), False, (0, 0), 1
    given = [value.detach().numpy() for value in (x, weight, bias, grad)]
    columns = Columns(shape[2:], kernel[2:], Window(*window))
    assert columns.is_by_rows(given[1])
    made = convolution(*given[:3], *window)
    back = convolution_backward(given[3], *given[:2], None, *window, (True,) * 3)
    for mine, theirs in zip((made, *back), expected, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), theirs.detach().numpy())


@pytest.mark.parametrize(
    ("sizes", "kernel", "stride", "dilation"),
    [
        ((8, 8), (16, 16, 3, 3), (1, 1), (1, 1)),  # few positions for its channels
        ((9, 9), (2, 2, 3, 3), (2, 1), (1, 1)),
        ((9, 9), (2, 2, 3, 3), (1, 1), (1, 2)),
        ((9, 9), (2, 2, 1, 1), (1, 1), (1, 1)),
        ((9,), (2, 2, 3), (1,), (1,)),
    ],
)
def test_what_gains_nothing_by_rows(
    sizes: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> None:
    zeros = (0,) * len(sizes)
    window = Window(stride, zeros, dilation, False, zeros, 1)
    assert not Columns(sizes, kernel[2:], window).is_by_rows(np.zeros(kernel, np.float32))


def test_no_convolution_ends_the_process() -> None:
    """In one of its own: XLA's compiler ended it without a word at the first of them."""
    command = [sys.executable, "-m", "weft.tests.helpers.convolutions", "jax"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
