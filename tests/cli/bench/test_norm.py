"""`weft bench norm`: what Online Normalization costs beside GroupNorm."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("jax")


pytest.importorskip("sklearn")


Weft = Callable[..., Any]


def test_normalizations_are_timed(weft: Weft) -> None:
    outcome = weft("bench", "norm", "--rounds", "1", "--json")
    assert outcome.code == 0, outcome.err
    rows = json.loads(outcome.out)
    assert rows[0]["input"] == "1x64x32x32"
    assert all(row["ratio"] > 0 for row in rows)
