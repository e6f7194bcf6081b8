"""Parts of a weight between which non-zeros are balanced: each holds the same share."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers.mask_rules import random_array, rule_of
from weft.sparsity import kept_count


@pytest.mark.parametrize(("key", "axis"), [("balance_out_groups", 0), ("balance_in_groups", 1)])
@pytest.mark.parametrize("method", ["random", "topk", "checkerboard"])
@pytest.mark.parametrize("shape", [(12, 16), (12, 8, 3, 3)], ids=str)
def test_balanced_groups_hold_equal_counts(
    key: str, axis: int, method: str, shape: tuple[int, ...]
) -> None:
    config = {"algorithm": "rigl", "sparsity": 0.7, "init_method": method, key: 4}
    rule, each = rule_of(config, shape), kept_count(math.prod(shape) // 4, 0.7)
    mask = rule.first_mask(torch.from_numpy(random_array(0, shape))).numpy()
    for step in range(1, 20):
        assert [part.sum() for part in np.split(mask, 4, axis)] == [each] * 4
        weight = np.where(mask, random_array(step, shape), 0)
        mask = rule.update(mask, weight, random_array(-step % 1000, shape), step)
