"""Sparse evolutionary training (Mocanu et al."""

from __future__ import annotations

import numpy as np
from helpers.mask_rules import rule_of


def test_set_grows_at_random_and_may_return_what_it_dropped() -> None:
    rule = rule_of({"algorithm": "set", "sparsity": 0.5, "drop_fraction": 1.0}, (1, 1000))
    mask = np.arange(1000).reshape(1, -1) < 500
    new = rule.update(mask, np.ones((1, 1000)), None, 1)
    assert 200 < (new & mask).sum() < 300
