"""The choice of a pass is the exact minimum of the published objective."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from weft.backend.pacing import admitted


def objective(v, losses, clusters, threshold, diversity) -> float:
    v = np.asarray(v, float)
    norms = sum(np.sqrt(v[clusters == c].sum()) for c in np.unique(clusters))
    return float((v * losses).sum() - threshold * v.sum() - diversity * norms)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2)), min_size=1, max_size=8),
    st.integers(0, 30),
    st.integers(0, 30),
)
def test_no_other_choice_is_better(samples, threshold, diversity) -> None:
    losses = np.array([loss / 10 for loss, _ in samples])
    clusters = np.array([cluster for _, cluster in samples])
    settings = losses, clusters, threshold / 10, diversity / 10
    mine = objective(admitted(*settings), *settings)
    best = min(objective(v, *settings) for v in product((0, 1), repeat=len(samples)))
    assert mine <= best + 1e-9


def test_a_large_threshold_takes_all_and_no_diversity_is_a_plain_threshold() -> None:
    losses, clusters = np.array([0.1, 5.0, 2.0, 0.3]), np.array([0, 0, 1, 1])
    assert admitted(losses, clusters, 100, 0).all()
    assert admitted(losses, clusters, 1.0, 0).tolist() == [True, False, False, True]


def test_diversity_takes_from_more_clusters_at_equal_count() -> None:
    losses = np.array([0.1, 0.2, 0.3, 0.9, 1.0])
    clusters = np.array([0, 0, 0, 1, 2])
    plain, diverse = (
        next(
            taken
            for threshold in np.arange(-2, 2, 0.001)
            if (taken := admitted(losses, clusters, threshold, diversity)).sum() >= 3
        )
        for diversity in (0.0, 2.0)
    )
    assert len(set(clusters[diverse])) > len(set(clusters[plain])) == 1


def test_the_least_losses_of_a_cluster_come_first() -> None:
    losses, clusters = np.array([3.0, 1.0, 2.0, 9.0]), np.array([4, 4, 4, 7])
    taken = admitted(losses, clusters, np.inf, 0.0, most_per_cluster=2)
    assert taken.tolist() == [False, True, True, True]
