"""Self-paced selection with diversity: the exact minimum over v in {0, 1}^n of

sum v_i L_i - lambda sum v_i - gamma sum over clusters |v of the cluster|_2
"""

from __future__ import annotations

import numpy as np


def admitted(
    losses: np.ndarray,
    clusters: np.ndarray,
    threshold: float,
    diversity: float,
    most_per_cluster: int | None = None,
) -> np.ndarray:
    """Whether each sample is taken, (n,) of bool.

    In each cluster samples are ranked by loss; the one of rank i (from 1) is taken if its loss is
    below threshold + diversity / (sqrt(i) + sqrt(i - 1)), and if i is at most `most_per_cluster`.
    Samples of equal loss keep their order. A loss that is not finite is never below.
    """
    rank = _ranks(losses, clusters)
    bonus = diversity / (np.sqrt(rank) + np.sqrt(rank - 1))
    taken = losses < threshold + bonus
    return taken if most_per_cluster is None else taken & (rank <= most_per_cluster)


def _ranks(losses: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """The rank of each sample's loss within its cluster, from 1."""
    order = np.lexsort((np.arange(len(losses)), losses, clusters))
    ordered = clusters[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    first = np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - first + 1
    return rank
