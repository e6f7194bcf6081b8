"""How the non-zeros of a group are spread over its parameters."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from weft.sparsity import configure, kept_count, kept_counts

SHAPES = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
        st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3), st.just(3)),
    ),
    min_size=1,
    max_size=8,
)


@settings(deadline=None)
@given(SHAPES, st.integers(0, 99), st.sampled_from(["er", "erk"]), st.sampled_from([0.5, 1.0, 2.0]))
def test_er_and_erk_spend_the_budget_exactly(
    shapes: list[tuple[int, ...]], percent: int, distribution: Any, power: float
) -> None:
    named = {f"w{i}": shape for i, shape in enumerate(shapes)}
    kept = kept_counts(named, percent / 100, distribution, power)
    sizes = {name: math.prod(shape) for name, shape in named.items()}
    assert sum(kept.values()) == (100 - percent) * sum(sizes.values()) // 100
    assert all(0 <= kept[name] <= sizes[name] for name in named)


def test_erk_densities_follow_the_formula_and_are_capped() -> None:
    shapes = {"wide": (200, 400), "square": (100, 100), "tiny": (4, 4)}
    kept = kept_counts(shapes, 0.9, "erk")
    density = {name: kept[name] / math.prod(shape) for name, shape in shapes.items()}
    assert density["tiny"] == 1.0
    ratio = (200 + 400) / (200 * 400) / ((100 + 100) / (100 * 100))
    assert density["wide"] / density["square"] == pytest.approx(ratio, rel=2e-3)
    convolution = {"a": (16, 16, 3, 3), "b": (64, 64, 3, 3)}
    er = kept_counts(convolution, 0.95, "er")
    erk = kept_counts(convolution, 0.95, "erk")
    assert er["a"] / 2304 / (er["b"] / 36864) == pytest.approx(4.0, rel=1e-2)
    assert erk["a"] / 2304 / (erk["b"] / 36864) == pytest.approx(38 / 134 * 16, rel=1e-2)


def test_masks_of_a_model_meet_the_erk_budget() -> None:
    model = nn.Sequential(nn.Linear(37, 61), nn.Linear(61, 61), nn.Linear(61, 3))
    masks = configure({"sparsity": 0.9, "distribution": "erk"}).masks(model)
    elements = sum(mask.numel() for mask in masks.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == kept_count(elements, 0.9)
