"""Which moving statistics are kept, and their mean."""

from __future__ import annotations

import torch
from weft.runtime.training.moving_statistics import MovingStatistics


def kept(span: int, *counts: int) -> MovingStatistics:
    """After so many samples each, with that number as the statistic."""
    found = MovingStatistics(span)
    for count in counts:
        found.add(count, {"norm.mean": torch.tensor([float(count)])})
    return found


def test_those_of_the_latest_samples_are_kept() -> None:
    found = kept(20, 10, 20, 30, 40)
    assert [point.samples for point in found.points] == [30, 40]
    mean = found.mean()["norm.mean"]
    assert mean == 35
    assert mean.dtype == torch.float32


def test_a_drained_pipeline_takes_the_place_of_the_same_samples() -> None:
    found = kept(100, 10, 20)
    found.add(20, {"norm.mean": torch.tensor([90.0])})
    assert found.mean()["norm.mean"] == 50


def test_some_are_spread_over_all_and_the_latest_is_among_them() -> None:
    found = kept(1000, *range(1, 11))
    taken = [int(own["norm.mean"]) for own in found.some(3)]
    assert taken == [10, 7, 4]
    assert len(found.some(99)) == 10
