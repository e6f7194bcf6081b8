"""Convolutions by slices and products against torch's own, with their gradients."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from weft.runtime.torch_xla.device import start

if find_spec("torch_xla") is None:
    pytest.skip("torch_xla is missing: pip install 'weft[torch-xla]'", allow_module_level=True)
start("cpu")

from weft.runtime.torch_xla.convolution import Shifts, convolution, convolution_backward  # noqa: E402
from weft.runtime.torch_xla.trace import to_device  # noqa: E402

SHAPES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": ((1, 3, 6, 5), (4, 3, 3, 3), {"padding": (1, 1)}),
    "stride": ((2, 3, 7, 8), (4, 3, 3, 3), {"padding": (1, 1), "stride": (2, 3)}),
    "one position": ((1, 6, 2, 2), (5, 6, 3, 3), {"padding": (1, 1), "stride": (2, 2)}),
    "projection": ((1, 4, 6, 6), (3, 4, 1, 1), {"stride": (2, 2)}),
    "wide": ((1, 2, 3, 3), (9, 2, 3, 3), {"padding": (1, 1)}),
    "dilation": ((1, 2, 9, 8), (3, 2, 3, 2), {"padding": (2, 1), "dilation": (2, 3)}),
    "far padding": ((1, 2, 4, 4), (3, 2, 2, 2), {"padding": (3, 3)}),
    "text": ((2, 3, 11), (4, 3, 3), {"padding": (1,), "stride": (2,)}),
    "volume": ((1, 2, 4, 3, 4), (3, 2, 2, 2, 2), {}),
    "groups": ((2, 6, 6, 5), (4, 3, 3, 3), {"padding": (1, 1), "groups": 2}),
    "groups, stride": ((1, 4, 6, 6), (6, 2, 3, 2), {"stride": (2, 2), "groups": 2}),
    "each channel": ((2, 4, 6, 5), (4, 1, 3, 3), {"padding": (1, 1), "groups": 4}),
    "transposed": ((1, 4, 5, 4), (4, 3, 3, 2), {"stride": (2, 3), "output_padding": (1, 2)}),
    "transposed, far": (
        *((2, 4, 3), (4, 3, 3)),
        {"dilation": (3,), "output_padding": (2,), "groups": 2},
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_convolutions_and_gradients_are_those_of_torch(name: str) -> None:
    shape, kernel, options = SHAPES[name]
    generator = torch.Generator().manual_seed(0)
    is_transposed, groups = "output_padding" in options, options.get("groups", 1)
    outputs = kernel[1] * groups if is_transposed else kernel[0]
    x, weight, bias = (
        torch.randn(s, generator=generator, dtype=torch.float64, requires_grad=True)
        for s in (shape, kernel, (outputs,))
    )
    kind = "conv_transpose" if is_transposed else "conv"
    y: Any = getattr(F, f"{kind}{len(shape) - 2}d")(x, weight, bias, **options)
    grad = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    expected = (y, *torch.autograd.grad(y, (x, weight, bias), grad))
    ones, zeros = (1,) * (len(shape) - 2), (0,) * (len(shape) - 2)
    window = [options.get(n, d) for n, d in (("stride", ones), ("padding", zeros))]
    more = options.get("output_padding", zeros)
    arguments = (*window, options.get("dilation", ones), is_transposed, more, groups)
    given = [to_device(value.detach()) for value in (x, weight, bias, grad)]
    shifts = Shifts.of(x, weight, arguments)
    made = convolution(*given[:3], shifts)
    found = (made, *convolution_backward(given[3], *given[:2], shifts, (True,) * 3))
    for mine, theirs in zip(found, expected, strict=True):
        assert mine is not None
        torch.testing.assert_close(mine.cpu(), theirs.detach(), rtol=1e-11, atol=1e-12)


def test_gradients_that_are_not_wanted_are_none() -> None:
    x, weight = torch.zeros(1, 4, 5, 5), torch.zeros(3, 4, 1, 1)
    shifts = Shifts.of(x, weight, ((1, 1), (0, 0), (1, 1), False, (0, 0), 1))
    made = convolution_backward(torch.zeros(1, 3, 5, 5), x, weight, shifts, (False,) * 3)
    assert made == (None, None, None)


def test_no_convolution_ends_the_process() -> None:
    """In one of its own: XLA's compiler ended it without a word at the first of them."""
    command = [sys.executable, "-m", "weft.tests.helpers.convolutions", "torch-xla"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
