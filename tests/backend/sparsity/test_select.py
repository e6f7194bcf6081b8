"""Mask updates as pure functions: counts, choices, schedules, distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers.mask_rules import ALGORITHMS, SHAPE, random_array, rule_of
from hypothesis import given
from hypothesis import strategies as st
from weft.backend.sparsity.select import grow_highest, highest, magnitude
from weft.sparsity import kept_count


@pytest.mark.parametrize("name", ALGORITHMS)
def test_counts_are_exact_over_a_thousand_updates(name: str) -> None:
    rule = rule_of(ALGORITHMS[name])
    weight, elements = random_array(0), math.prod(SHAPE)
    mask = rule.first_mask(torch.from_numpy(weight)).numpy()
    noise = np.random.default_rng(1)
    for step in range(1, 1001):
        gradient = noise.standard_normal(SHAPE)
        weight = np.where(mask, weight + 0.1 * noise.standard_normal(SHAPE), 0)
        mask = rule.update(mask, weight, gradient, step)
        assert mask.sum() == kept_count(elements, rule.group.sparsity_at(step))


@pytest.mark.parametrize("algorithm", ["set", "rigl"])
def test_as_many_grow_as_were_dropped(algorithm: str) -> None:
    rule = rule_of({"algorithm": algorithm, "sparsity": 0.6, "drop_fraction": 0.3})
    weight = random_array(0)
    mask = rule.first_mask(torch.from_numpy(weight)).numpy()
    kept, stay = mask.sum(), kept_count(int(mask.sum()), 0.3)
    floor = np.sort(np.abs(weight[mask]))[-stay]
    survivors = mask & (np.abs(weight) >= floor)
    new = rule.update(mask, np.where(mask, weight, 0), random_array(1), 1)
    assert survivors.sum() == stay
    assert (new & survivors).sum() == stay
    assert (new & ~survivors).sum() == kept - stay


def test_zero_weights_that_are_kept_come_before_pruned_ones() -> None:
    """A revived weight is 0; dropping must not confuse it with pruned ones."""
    rule = rule_of({"algorithm": "rigl", "sparsity": 0.5, "drop_fraction": 0.25}, (1, 8))
    mask = np.array([[0, 0, 0, 0, 1, 1, 1, 1]], bool)
    new = rule.update(mask, np.zeros((1, 8)), np.arange(8.0).reshape(1, 8), 1)
    assert new.sum() == 4
    assert new[0, 4:].sum() >= 3


def test_what_is_not_finite_is_never_preferred() -> None:
    values = np.array([[np.nan, np.inf, -3.0, 0.0, 1.0]])
    assert highest(magnitude(values), np.array([3])).tolist() == [[False, False, True, True, True]]
    mask = np.array([[True, False, False, False, False]])
    grown = grow_highest(mask, magnitude(values), np.array([2]))
    assert grown.tolist() == [[True, False, True, False, False]]


@given(st.integers(0, 50), st.integers(1, 6), st.integers(0, 12))
def test_equal_scores_are_taken_in_order(seed: int, levels: int, count: int) -> None:
    scores = np.random.default_rng(seed).integers(0, levels, (1, 12)).astype(float)
    order = sorted(range(12), key=lambda i: (-scores[0, i], i))
    assert set(np.flatnonzero(highest(scores, np.array([count]))[0])) == set(order[:count])
