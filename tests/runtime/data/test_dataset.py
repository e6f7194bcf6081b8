"""What every source of data gives: samples for training, for validation and for testing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from weft.runtime.data import Dataset, load_data


def test_the_digest_tells_data_apart(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 30)
    (tmp_path / "b").write_bytes(b"abd" * 30)
    digests = [
        load_data(str(tmp_path / name), (5,)).splits.train.digest for name in ("a", "a", "b")
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_data("digits")


def test_each_epoch_is_another_permutation_fixed_by_the_seed(digits: Dataset) -> None:
    first, second = digits.epochs(2, seed=3)
    np.testing.assert_array_equal(np.sort(first), np.arange(1437))
    assert not np.array_equal(first, second)
    again, _ = digits.epochs(2, seed=3)
    other, _ = digits.epochs(2, seed=4)
    np.testing.assert_array_equal(again, first)
    assert not np.array_equal(other, first)
