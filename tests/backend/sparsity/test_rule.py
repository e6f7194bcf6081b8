"""The masks of one parameter as pure functions; what every executor calls at its update ticks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.mask_rules import ALGORITHMS, SHAPE, random_array, rule_of
from hypothesis import given
from hypothesis import strategies as st
from weft.backend.errors import UserError
from weft.sparsity import MaskRule, configure


def test_updates_depend_on_seed_name_and_step_only() -> None:
    config = {"algorithm": "set", "sparsity": 0.7}
    weights = {"a": torch.zeros(SHAPE), "b": torch.zeros(SHAPE)}
    rules, again = configure(config).rules(weights), configure(config).rules(weights)
    other = configure(config | {"seed": 1}).rules(weights)
    mask, weight = random_array(5) > 0.5, random_array(6)

    def at(rule: MaskRule, step: int) -> list[Any]:
        return rule.update(mask, weight, None, step).tolist()

    assert at(rules["a"], 3) == at(again["a"], 3)
    assert at(rules["a"], 3) != at(rules["b"], 3)
    assert at(rules["a"], 3) != at(rules["a"], 4)
    assert at(rules["a"], 3) != at(other["a"], 3)


@given(st.integers(1, 9), st.integers(0, 20), st.integers(0, 40), st.integers(0, 60))
def test_updates_before_a_step_are_counted(freq: int, start: int, more: int, step: int) -> None:
    update = {"freq": freq, "start": start, "stop": start + more + 1}
    group = configure({"algorithm": "set", "sparsity": 0.5, "update": update}).groups[0]
    assert group.update.before(step) == sum(group.due(s) for s in range(step))


def test_groups_that_do_not_divide_and_rigl_without_gradient_are_user_errors() -> None:
    with pytest.raises(UserError, match="divisor of 20"):
        rule_of({"algorithm": "set", "sparsity": 0.5, "balance_out_groups": 3})
    with pytest.raises(UserError, match="dense gradient"):
        rule_of(ALGORITHMS["rigl"]).update(np.ones(SHAPE, bool), random_array(0), None, 1)
