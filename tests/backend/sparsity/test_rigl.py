"""RigL (Evci et al."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.mask_rules import rule_of


def test_rigl_grows_where_the_dense_gradient_is_largest() -> None:
    rule = rule_of({"algorithm": "rigl", "sparsity": 0.5, "drop_fraction": 0.5}, (1, 8))
    mask = np.array([[1, 1, 1, 1, 0, 0, 0, 0]], bool)
    weight = np.array([[4.0, 3.0, 0.2, 0.1, 0, 0, 0, 0]])
    gradient = np.array([[9.0, 9.0, 5.0, 0.0, 1.0, -7.0, 2.0, 3.0]])
    new = rule.update(mask, weight, gradient, 1)
    assert new.tolist() == [[True, True, True, False, False, True, False, False]]


@pytest.mark.parametrize(
    "update", [{"freq": 7, "start": 3, "stop": 40}, {"freq": 1}, {"steps": [2, 9, 30]}]
)
@pytest.mark.parametrize("window", [1, 4, 50])
def test_dense_gradients_are_collected_in_the_steps_before_each_update(
    update: dict[str, Any], window: int
) -> None:
    rule = rule_of(
        {"algorithm": "rigl", "sparsity": 0.5, "update": update, "gradient_steps": window}
    )
    steps = np.arange(1, 60)
    expected = [any(rule.due(int(step) + k) for k in range(window)) for step in steps]
    assert rule.collects(steps).tolist() == expected
    assert [bool(rule.collects(int(step))) for step in steps] == expected
