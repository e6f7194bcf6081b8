"""`weft bench equality`: how far the JAX executor is from the reference."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("jax")


pytest.importorskip("sklearn")


Weft = Callable[..., Any]


def test_equality_is_told_in_both_types(weft: Weft) -> None:
    few = ("--samples", "5", "--compensation", "sc", "--masks", "static")
    outcome = weft("bench", "equality", *few, "--json")
    assert outcome.code == 0, outcome.err
    [row] = json.loads(outcome.out)
    assert (row["rule"], row["compensation"], row["masks"]) == ("sgdm", "sc", "static")
    assert 0 < float(row["weights"]) < 1e-5
    assert 0 < float(row["float64"]) < 1e-13
    assert 0 < float(row["nudged"]) < 1e-13


@pytest.mark.parametrize("option", ["--model", "--compensation", "--masks"])
def test_equality_refuses_unknown_names(weft: Weft, option: str) -> None:
    outcome = weft("bench", "equality", option, "nothing")
    assert outcome.code == 2
    assert "nothing" in outcome.err
