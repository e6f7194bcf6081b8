"""The sampler's state over passes."""

from __future__ import annotations

import numpy as np
import pytest
from weft.backend.errors import UserError
from weft.backend.pacing import PassPace, SelfPacedSampler

CLUSTERS = np.array([0, 0, 0, 1, 1, 2])
LABELS = np.array([0, 0, 0, 0, 1, 1])


def sampler(pace: PassPace | None = None) -> SelfPacedSampler:
    return SelfPacedSampler(CLUSTERS, LABELS, pace or PassPace(most_per_cluster=1), seed=3)


def test_the_first_pass_takes_all_in_an_order_of_its_own() -> None:
    own = sampler()
    first = own.order()
    assert sorted(first) == list(range(6))
    assert own.order().tolist() == first.tolist()
    other = SelfPacedSampler(CLUSTERS, LABELS, PassPace(), seed=4).order()
    assert other.tolist() != first.tolist()


def test_later_passes_take_the_least_losses_of_each_cluster() -> None:
    own = sampler()
    own.record(np.arange(6), np.array([3.0, 1.0, 2.0, 5.0, 4.0, 9.0]), update=5)
    ended = own.advance()
    assert (ended.samples, ended.by_class, ended.by_cluster) == (
        6,
        {0: 4, 1: 2},
        {0: 3, 1: 2, 2: 1},
    )
    assert sorted(own.order()) == [1, 4, 5]
    ended = own.advance()
    assert (ended.mean_loss_taken, ended.mean_loss_left_out) == (14 / 3, 10 / 3)


def test_losses_that_arrive_during_a_pass_count_for_the_next() -> None:
    own = sampler()
    own.record(np.arange(6), np.array([3.0, 1.0, 2.0, 5.0, 4.0, 9.0]), update=5)
    own.advance()
    before = own.order().tolist()
    own.record(np.array([0]), np.array([0.0]), update=9)
    assert own.order().tolist() == before
    own.advance()
    assert sorted(own.order()) == [0, 4, 5]


def test_an_unknown_loss_counts_as_zero_and_one_that_is_not_finite_is_not_kept() -> None:
    own = sampler()
    own.record(np.array([1, 2]), np.array([1.0, np.nan]), update=1)
    own.advance()
    assert sorted(own.order()) == [0, 3, 5]


def test_the_pace_grows_after_each_pass() -> None:
    pace = PassPace(threshold=1.0, most_per_cluster=10, diversity=0.5)
    later = pace.at(3)
    assert later.threshold == pytest.approx(1.21)
    assert (later.most_per_cluster, later.diversity) == (12, pytest.approx(0.605))
    assert pace.at(1) == pace


def test_a_restored_sampler_goes_on_the_same_way() -> None:
    own, other = sampler(), sampler()
    generator = np.random.default_rng(0)
    own.record(np.arange(6), generator.random(6), update=1)
    own.advance()
    order = own.order()
    own.record(order[:1], np.array([7.0]), update=8)
    other.restore(own.state())
    for _ in range(3):
        assert own.order().tolist() == other.order().tolist()
        assert own.advance() == other.advance()


def test_what_cannot_be_sampled_is_refused() -> None:
    with pytest.raises(UserError, match="one per label"):
        SelfPacedSampler(CLUSTERS, LABELS[:3])
    with pytest.raises(UserError, match="growth"):
        sampler(PassPace(growth=0.5))
    with pytest.raises(UserError, match="samples"):
        sampler().restore(SelfPacedSampler(CLUSTERS[:2], LABELS[:2]).state())
    own = sampler(PassPace(threshold=0.1, diversity=0.0))
    own.record(np.arange(6), np.ones(6), update=1)
    own.advance()
    with pytest.raises(UserError, match="at least one sample"):
        own.order()


def test_the_baseline_takes_the_first_of_each_cluster_whatever_their_losses() -> None:
    own = sampler(PassPace(most_per_cluster=2, choice="first"))
    own.record(np.arange(6), np.array([3.0, 1.0, 2.0, 5.0, 4.0, 9.0]), update=5)
    own.advance()
    assert sorted(own.order()) == [0, 1, 3, 4, 5]
