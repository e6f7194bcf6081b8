"""`weft bench remap`: intervals of a plan whose masks change."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("jax")


pytest.importorskip("sklearn")


Weft = Callable[..., Any]


def test_remap_prices_the_masks_of_every_epoch(weft: Weft) -> None:
    small = ("bench", "remap", "--epochs", "1", "--set", "model=mlp", "--algorithm", "set")
    small += ("--set", "model.options.width=16", "--set", "target=tiny_mesh")
    outcome = weft(*small, "--json")
    assert outcome.code == 0, outcome.err
    start, end = json.loads(outcome.out)
    assert (start["samples"], end["samples"]) == (0, 1437)
    assert start["as_planned"] == start["new_map"]
    assert start["first_kept"] == start["rebalanced"] <= start["as_planned"]
    assert start["growth"] == 1 != end["growth"]
    assert end["rebalanced"] <= end["as_planned"]
    wrong = weft("bench", "remap", "--algorithm", "gmp")
    assert wrong.code == 2
