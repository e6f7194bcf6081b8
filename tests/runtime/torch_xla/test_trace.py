"""Functions of torch tensors as XLA computations that other computations call."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from weft.backend.errors import UnsupportedError
from weft.runtime.torch_xla.device import start

if find_spec("torch_xla") is None:
    pytest.skip("torch_xla is missing: pip install 'weft[torch-xla]'", allow_module_level=True)
start("cpu")


from weft.runtime.torch_xla.trace import like, lower, trace  # noqa: E402


def test_an_operator_that_torch_xla_cannot_lower_is_named() -> None:
    module = make_fx(torch.special.bessel_j0)(torch.zeros(3))
    with pytest.raises(UnsupportedError, match=r"aten\.special_bessel_j0\.default"):
        trace(lower(module), like((3,), torch.float32))


def test_an_operator_that_torch_xla_lowers_but_not_of_such_operands_is_named() -> None:
    module = make_fx(lambda x: torch.softmax(x, 0))(torch.zeros(()))
    with pytest.raises(UnsupportedError, match=r"aten\._softmax\.default"):
        trace(lower(module), like((), torch.float32))
