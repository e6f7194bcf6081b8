"""Experts beside the dense layer of their active weights."""

from __future__ import annotations

import pytest
from weft.bench.experts import layer_intervals


def test_an_even_load_is_about_as_fast_as_the_dense_layer_of_the_active_experts() -> None:
    found = layer_intervals(64, width=32, units=64)
    assert list(found) == ["dense", "E4k2", "E8k2"]
    for cycles in found.values():
        assert cycles == pytest.approx(found["dense"], rel=0.25)


def test_a_layer_takes_longer_for_more_tokens() -> None:
    few, many = (layer_intervals(tokens, width=32, units=64) for tokens in (16, 256))
    assert all(many[name] > few[name] for name in few)
