"""A graph as a function of arrays: what is refused, by name."""

from __future__ import annotations

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from weft.backend.errors import UnsupportedError

jax = pytest.importorskip("jax")

from weft.runtime.jax.ops.lower import lower  # noqa: E402

REFUSED = {
    "booleans": (
        lambda x: torch.sign(x > 0),
        (3,),
        r"aten\.sign\.default[\s\S]*torch\.bool \(3,\)",
    ),
    "no dimensions": (lambda x: torch.softmax(x, 0), (), r"aten\._softmax[\s\S]*float32 \(\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_operands_that_jax_does_not_take_are_told(name):
    function, shape, told = REFUSED[name]
    run = lower(make_fx(function)(torch.zeros(shape)))
    with pytest.raises(UnsupportedError, match=told):
        run(jax.numpy.zeros(shape))


@pytest.mark.filterwarnings("error")
def test_reals_of_long_integers_are_of_the_type_that_jax_has():
    module = make_fx(lambda x, n: (x / n + n,))(
        torch.zeros(3, dtype=torch.float64), torch.tensor(2)
    )
    (made,) = lower(module)(jax.numpy.ones(3), jax.numpy.array(4))
    assert made.dtype == jax.dtypes.canonicalize_dtype("float64")
    assert made.tolist() == [4.25] * 3
