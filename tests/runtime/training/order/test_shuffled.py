"""The order of samples over epochs."""

from __future__ import annotations

import numpy as np
from helpers.plans_to_train import small_data
from weft.runtime.training.order import Shuffled


def test_numbers_count_on_over_epochs_and_each_epoch_has_every_sample_once() -> None:
    data = small_data().splits
    order, size = Shuffled(data, seed=3), len(data.train)
    both = order.of(range(2 * size))
    assert sorted(both[:size]) == sorted(both[size:]) == list(range(size))
    assert not np.array_equal(both[:size], both[size:])
    assert np.array_equal(order.of(range(size - 2, size + 3)), both[size - 2 : size + 3])
    assert not np.array_equal(Shuffled(data, seed=4).of(range(size)), both[:size])


def test_chunks_are_the_order_and_end_at_every_mark() -> None:
    data = small_data().splits
    order, size = Shuffled(data, seed=3), len(data.train)
    span = range(5, size + 7)
    chunks = [chunk for part in order.parts(span, (16, 40), 12) for chunk in part]
    sizes = [len(chunk.indices) for chunk in chunks]
    assert np.array_equal(np.concatenate([chunk.indices for chunk in chunks]), order.of(span))
    ends = set((np.cumsum(sizes) + span.start).tolist())
    assert max(sizes) <= 12
    assert {mark for mark in span if mark > 5 and (mark % 16 == 0 or mark % 40 == 0)} <= ends
