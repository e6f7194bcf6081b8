"""Rates by stage are the rule's own steps at other rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from weft.backend.optim import StageRates, build_rule

RATE, DELAY, D0, UPDATES = 0.1, 6, 4.0, 9
RULES: dict[str, dict[str, Any]] = {
    "sgdm": {"compensation": "sc+lwp", "weight_decay": 0.1},
    "adamw": {"compensation": "lwp"},
    "muon": {},
}


@pytest.mark.parametrize("anneal", [None, 5])
@pytest.mark.parametrize("name", RULES)
def test_the_rate_falls_with_the_delay(name: str, anneal: int | None) -> None:
    """eta / (1 + 6/4), or to the power 1, 0.8, ..., 0 over five updates that apply."""
    plain = build_rule(name, **RULES[name])
    rule = StageRates(plain, D0, anneal)
    generator = np.random.default_rng(0)
    weights = expected = generator.normal(size=(4, 5))
    state, own, counted = rule.init(weights, np), plain.init(weights, np), 0
    for number, gradient in enumerate(generator.normal(size=(UPDATES, 4, 5))):
        power = 1.0 if anneal is None else max(0.0, 1 - counted / anneal)
        rate = RATE / 2.5**power
        applies = np.bool_(number != 2)
        np.testing.assert_allclose(
            rule.predict(weights, state, DELAY, RATE, np),
            plain.predict(expected, own, DELAY, rate, np),
            rtol=1e-12,
        )
        weights, state = rule.update(weights, gradient, state, DELAY, RATE, np, applies)
        expected, own = plain.update(expected, gradient, own, DELAY, rate, np, applies)
        counted += bool(applies)
        np.testing.assert_allclose(weights, expected, rtol=1e-12)


def test_without_delay_nothing_changes_and_types_stay() -> None:
    rule, plain = StageRates(build_rule("sgdm"), D0, 5), build_rule("sgdm")
    weights = torch.ones(3, dtype=torch.bfloat16)
    rate = torch.tensor(RATE, dtype=torch.bfloat16)
    new, _ = rule.update(weights, weights, rule.init(weights, torch), 0, rate, torch)
    expected, _ = plain.update(weights, weights, plain.init(weights, torch), 0, rate, torch)
    assert new.dtype == torch.bfloat16
    assert torch.equal(new, expected)
    assert rule.settings["stage_rate_delay"] == D0
