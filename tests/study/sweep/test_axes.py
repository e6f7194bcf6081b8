"""Axes from text: every form, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.backend.errors import UserError
from weft.study.sweep.axes import Axis, parse_axis


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("target.clock_hz=[0.85e9,1.1e9]", (0.85e9, 1.1e9)),
        ("sparsity=0:0.95:0.05", tuple(round(0.05 * n, 2) for n in range(20))),
        ("epochs=3:1:-1", (3, 2, 1)),
        ("target.noc.hop_cycles=log(1:8:4)", (1, 2, 4, 8)),
        ("target.clock_hz=8e8:9e8:5e7", (800000000, 850000000, 900000000)),
        ("pipeline.granularity=[finest, block]", ("finest", "block")),
        ("pipeline.recompute=[true,false]", (True, False)),
        ("input.shape=[[3,32,32]]", ([3, 32, 32],)),
        ("input.shape=[3,32,32]", ([3, 32, 32],)),
        ("input.shape=[[3,32,32],[3,64,64]]", ([3, 32, 32], [3, 64, 64])),
        ("target=wse3", ("wse3",)),
        ("sparsity=null", (None,)),
        ("model=my_models.py:cnn", ("my_models.py:cnn",)),
        ("x=0.1:0.1:0.1", (0.1,)),
    ],
)
def test_a_form_gives_its_values(text: str, values: tuple[object, ...]) -> None:
    assert parse_axis(text) == Axis(text.partition("=")[0], values)


@pytest.mark.parametrize(
    "text",
    [
        *("sparsity", "sparsity=", "=1", "x=[]", "x=[1,", "x=0:1:0", "x=0:1:-1", "x=0:1:1e-9"),
        *("x=log(0:1:3)", "x=log(1:2)", "x=random(2:1)", "x=lograndom(0:1)", "x=random(0:nan)"),
    ],
)
def test_what_is_no_axis_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--set"):
        parse_axis(text)


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_drawn_value_lies_in_its_interval(share: float) -> None:
    assert 2 <= parse_axis("x=random(2:3)").at(share) <= 3
    assert 1e-4 * (1 - 1e-9) <= parse_axis("x=lograndom(1e-4:1)").at(share) <= 1
    assert parse_axis("x=[a,b,c]").at(share) in ("a", "b", "c")


def test_a_log_axis_is_even_in_its_logarithm() -> None:
    assert parse_axis("x=lograndom(1:100)").at(0.5) == 10


@pytest.mark.parametrize("values", ["0:0.9", "1:30", "-1e-3:2", "1:30:"])
def test_a_range_without_a_step_is_no_number_of_base_60(values):
    with pytest.raises(UserError, match="sparsity"):
        parse_axis(f"sparsity={values}")


def test_numbers_with_exponents_are_numbers():
    assert parse_axis("target.clock_hz=[1e9,1.1e9]").values == (1e9, 1.1e9)
    assert parse_axis("target.clock_hz=1e9").values == (1e9,)
    assert parse_axis("loss=my_losses.py:half").values == ("my_losses.py:half",)
