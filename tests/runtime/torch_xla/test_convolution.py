"""Convolutions by slices and products against torch's own, with their gradients."""

from __future__ import annotations

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
}


@pytest.mark.parametrize("name", SHAPES)
def test_convolutions_and_gradients_are_those_of_torch(name: str) -> None:
    shape, kernel, options = SHAPES[name]
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(s, generator=generator, dtype=torch.float64, requires_grad=True)
        for s in (shape, kernel, kernel[:1])
    )
    function = (F.conv1d, F.conv2d, F.conv3d)[len(shape) - 3]
    y: Any = function(x, weight, bias, **options)
    grad = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    expected = (y, *torch.autograd.grad(y, (x, weight, bias), grad))
    ones, zeros = (1,) * (len(shape) - 2), (0,) * (len(shape) - 2)
    window = [options.get(n, d) for n, d in (("stride", ones), ("padding", zeros))]
    arguments = (*window, options.get("dilation", ones), False, zeros, 1)
    given = [to_device(value.detach()) for value in (x, weight, bias, grad)]
    shifts = Shifts.of(x, weight, arguments)
    assert shifts is not None
    made = convolution(*given[:3], shifts)
    found = (made, *convolution_backward(given[3], *given[:2], shifts, (True,) * 3))
    for mine, theirs in zip(found, expected, strict=True):
        assert mine is not None
        torch.testing.assert_close(mine.cpu(), theirs.detach(), rtol=1e-11, atol=1e-12)


def test_what_the_products_do_not_cover_is_left_to_xla() -> None:
    x, weight = torch.zeros(1, 4, 5, 5), torch.zeros(4, 2, 3, 3)
    assert Shifts.of(x, weight, ((1, 1), (0, 0), (1, 1), False, (0, 0), 2)) is None
    assert Shifts.of(x, weight, ((1, 1), (0, 0), (1, 1), True, (0, 0), 1)) is None
    assert convolution_wants(x) == (None, None, None)


def convolution_wants(x: torch.Tensor) -> tuple[Any, ...]:
    """Gradients of which none is wanted."""
    weight = torch.zeros(3, 4, 1, 1)
    shifts = Shifts.of(x, weight, ((1, 1), (0, 0), (1, 1), False, (0, 0), 1))
    assert shifts is not None
    return convolution_backward(torch.zeros(1, 3, 5, 5), x, weight, shifts, (False,) * 3)
