"""Clusters of each class in an embedding: k-means++ of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import UserError
from ..packages import package

ITERATIONS, STARTS = 20, 10


def cluster(embedded: np.ndarray, labels: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """Number of each sample's cluster; those of class number c are c * per_class and on.

    Raises UserError for more clusters than a class has samples, and without scikit-learn.
    """
    clusters = package("sklearn.cluster", "self-paced sampler: clusters", "weft[demo]")
    found = np.empty(len(labels), np.int64)
    for position, name in enumerate(np.unique(labels)):
        own = np.flatnonzero(labels == name)
        if len(own) < per_class:
            raise UserError(
                f"self-paced sampler: {per_class} clusters of class {name}",
                expected=f"at most {len(own)}, its samples",
                got=str(per_class),
                change="lower data.sampler.clusters",
            )
        options: dict[str, Any] = {"n_init": STARTS, "max_iter": ITERATIONS, "random_state": seed}
        means = clusters.KMeans(per_class, init="k-means++", **options)
        found[own] = position * per_class + means.fit_predict(embedded[own])
    return found
