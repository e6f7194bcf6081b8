"""Update rules by name, checked."""

from __future__ import annotations

import numpy as np
import pytest
from weft.backend.errors import UserError
from weft.backend.optim import build_rule

RATE, DECAY, MOMENTUM = 0.05, 0.3, 0.9


def test_the_step_has_the_size_of_adamw() -> None:
    """0.2 to 0.4 times the rate, root mean square, as AdamW's is found to have in training."""
    gradient = np.random.default_rng(0).normal(size=(64, 256))
    rule = build_rule("muon", momentum=0.0)
    new, _ = rule.update(0 * gradient, gradient, rule.init(gradient, np), 0, 1.0, np)
    assert 0.1 < np.sqrt(np.mean(new**2)) < 0.3


@pytest.mark.parametrize("name", ["muon", "normuon", "rotated_adamw"])
def test_what_is_no_matrix_is_stepped_as_adamw_does(name: str) -> None:
    rule, plain = (build_rule(n, weight_decay=DECAY) for n in (name, "adamw"))
    generator = np.random.default_rng(0)
    for shape, by_element in (((7,), False), ((7, 1), False), ((), False), ((4, 3), True)):
        start = generator.normal(size=shape)
        pairs = [(start, rule.init(start, np, by_element)), (start, plain.init(start, np))]
        for gradient in generator.normal(size=(5, *shape)):
            pairs = [
                own.update(weights, gradient, state, 3, RATE, np)
                for own, (weights, state) in zip((rule, plain), pairs, strict=True)
            ]
        np.testing.assert_array_equal(pairs[0][0], pairs[1][0])


@pytest.mark.parametrize("name", ["muon", "normuon", "rotated_adamw"])
def test_what_a_mask_prunes_stays_zero_and_what_does_not_apply_changes_nothing(name: str) -> None:
    rule, generator = build_rule(name), np.random.default_rng(0)
    mask = generator.random((5, 6)) < 0.5
    weights = mask * generator.normal(size=(5, 6))
    state = rule.init(weights, np)
    for gradient in mask * generator.normal(size=(4, 5, 6)):
        weights, state = rule.update(weights, gradient, state, 0, RATE, np, np.True_, mask)
        assert not weights[~mask].any()
        assert weights[mask].all()
    new, after = rule.update(weights, weights, state, 0, RATE, np, np.False_, mask)
    np.testing.assert_array_equal(new, weights)
    assert all(np.array_equal(after[key], state[key]) for key in state)


def test_compensations_that_are_not_defined_are_refused() -> None:
    with pytest.raises(UserError, match="one of none, stash"):
        build_rule("muon", compensation="lwp")
