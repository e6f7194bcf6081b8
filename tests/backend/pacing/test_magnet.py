"""The magnet loss against its formula, and an embedding that separates classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from weft.backend.errors import UserError
from weft.backend.pacing import cluster, embed, magnet_loss


def by_hand(r: np.ndarray, clusters: np.ndarray, classes: np.ndarray) -> float:
    means = {c: r[clusters == c].mean(0) for c in np.unique(clusters)}
    class_of = {c: classes[clusters == c][0] for c in means}
    own = [np.sum((x - means[c]) ** 2) for x, c in zip(r, clusters, strict=True)]
    variance = sum(own) / (len(r) - 1)
    losses = []
    for x, c, distance in zip(r, clusters, own, strict=True):
        others = [m for k, m in means.items() if class_of[k] != class_of[c]]
        below = sum(np.exp(-np.sum((x - m) ** 2) / (2 * variance)) for m in others) + 1e-8
        above = np.exp(-distance / (2 * variance) - 1.0)
        losses.append(max(0.0, -np.log(above / below + 1e-8)))
    return float(np.mean(losses))


def test_the_loss_is_that_of_the_formula() -> None:
    generator = np.random.default_rng(0)
    r = generator.standard_normal((12, 2))
    clusters = np.repeat([4, 2, 9], 4)
    classes = np.repeat([1, 1, 0], 4)
    got = magnet_loss(torch.tensor(r), torch.tensor(clusters), torch.tensor(classes))
    assert float(got) == pytest.approx(by_hand(r, clusters, classes), abs=1e-12)


def test_training_moves_classes_apart() -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], 80)
    x = generator.standard_normal((160, 6)) + labels[:, None] * np.eye(6)[0] * 3
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
    inputs = torch.as_tensor(x, dtype=torch.float32)

    def separation() -> float:
        with torch.no_grad():
            r = network(inputs).numpy()
        between = np.linalg.norm(r[labels == 0].mean(0) - r[labels == 1].mean(0))
        return float(between / r.std())

    before = separation()
    found = embed(network, x, labels, epochs=30, per_class=2, groups=3, rate=1e-2)
    assert separation() > 1.2 * before
    assert set(found[labels == 0]) == {0, 1}
    assert set(found[labels == 1]) == {2, 3}


def test_more_clusters_than_samples_are_refused() -> None:
    with pytest.raises(UserError, match="at most 3"):
        cluster(np.zeros((3, 2)), np.zeros(3), 4, seed=0)
