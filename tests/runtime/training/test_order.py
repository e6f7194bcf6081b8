"""The order of samples over epochs."""

from __future__ import annotations

import numpy as np
from helpers.plans_to_train import small_data
from weft.runtime.training.order import Order


def test_numbers_count_on_over_epochs_and_each_epoch_has_every_sample_once() -> None:
    data = small_data().splits
    order, size = Order(data, seed=3), len(data.train)
    both = order.of(range(2 * size))
    assert sorted(both[:size]) == sorted(both[size:]) == list(range(size))
    assert not np.array_equal(both[:size], both[size:])
    assert np.array_equal(order.of(range(size - 2, size + 3)), both[size - 2 : size + 3])
    assert not np.array_equal(Order(data, seed=4)(0), order(0))
