"""Gradual magnitude pruning (Zhu and Gupta 2017): keep the largest weights under a schedule."""

from __future__ import annotations

import numpy as np
import torch
from helpers.mask_rules import SHAPE, random_array, rule_of


def test_gmp_keeps_the_largest_and_revives_at_random() -> None:
    config = {"algorithm": "gmp", "sparsity": [0.0, 0.75, 0.25]}
    rule, weight = rule_of(config, (40, 50)), random_array(0, (40, 50))
    full = np.ones((40, 50), bool)
    pruned = rule.update(full, weight, None, 1)
    assert np.abs(weight[pruned]).min() > np.abs(weight[~pruned]).max()
    revived = rule.update(pruned, np.where(pruned, weight, 0), None, 2)
    assert (revived & pruned).sum() == pruned.sum()
    upper, lower = revived[:20].mean(), revived[20:].mean()
    assert abs(upper - lower) < 0.1


def test_training_starts_dense_until_the_first_update_and_is_exact_from_there() -> None:
    config = {"algorithm": "rigl", "sparsity": 0.9, "update": {"freq": 10, "start": 10}}
    rule = rule_of(config)
    mask = rule.first_mask(torch.zeros(SHAPE)).numpy()
    assert mask.all()
    assert rule.update(mask, random_array(0), random_array(1), 10).sum() == 60
