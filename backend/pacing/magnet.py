"""Magnet loss (Rippel et al. 2016): an embedding in which clusters of other classes lie apart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from .clusters import cluster

_EPS = 1e-8


def magnet_loss(embedded: Tensor, clusters: Tensor, classes: Tensor, alpha: float = 1.0) -> Tensor:
    """Mean over a batch (N, dimensions) of

        relu(-log(exp(-|r - mu|^2 / (2 s) - alpha) / (sum of exp(-|r - m|^2 / (2 s)) + e) + e))

    with mu the mean of the sample's cluster in the batch, m those of clusters of other classes,
    and s = sum |r - mu|^2 / (N - 1), the variance. `clusters` and `classes` are (N,) of whole
    numbers.
    """
    names, member = torch.unique(clusters, return_inverse=True)
    one_hot = torch.nn.functional.one_hot(member, len(names)).to(embedded.dtype)
    means = one_hot.T @ embedded / one_hot.sum(0)[:, None]
    class_of = torch.stack([classes[clusters == name][0] for name in names])
    squares = (embedded[:, None] - means[None]).square().sum(2)
    own = squares.gather(1, member[:, None])[:, 0]
    spread = 2 * own.sum() / (len(embedded) - 1)
    numerator = torch.exp(-own / spread - alpha)
    others = class_of[None] != classes[:, None]
    denominator = (torch.exp(-squares / spread) * others).sum(1)
    return torch.relu(-torch.log(numerator / (denominator + _EPS) + _EPS)).mean()


def embed(
    network: nn.Module,
    x: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int,
    per_class: int = 8,
    groups: int = 8,
    group_size: int = 8,
    rate: float = 1e-4,
    seed: int = 0,
) -> np.ndarray:
    """Train `network` with the magnet loss, in place; returns the clusters of its embeddings.

    `x` is (n, ...), `network` maps it to (n, dimensions). A batch is a seed cluster, drawn by its
    mean loss (uniformly at first), its nearest `groups` - 1 clusters of other classes, and
    `group_size` samples of each. Clusters are found anew once per epoch. Raises what `cluster`
    raises.
    """
    generator = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    inputs = torch.as_tensor(x, dtype=torch.float32)
    clusters = cluster(_embedded(network, inputs), labels, per_class, seed)
    losses = np.ones(clusters.max() + 1)
    for _ in range(epochs):
        embedded = _embedded(network, inputs)
        clusters = cluster(embedded, labels, per_class, seed)
        for batch in _batches(embedded, clusters, labels, losses, groups, group_size, generator):
            optimizer.zero_grad()
            own, names = torch.as_tensor(clusters[batch]), torch.as_tensor(labels[batch])
            loss = magnet_loss(network(inputs[batch]), own, names)
            loss.backward()
            optimizer.step()
            losses[clusters[batch[0]]] = max(loss.item(), _EPS)
    return cluster(_embedded(network, inputs), labels, per_class, seed)


def _embedded(network: nn.Module, inputs: Tensor) -> np.ndarray:
    with torch.no_grad():
        return torch.cat([network(part) for part in inputs.split(1024)]).numpy()


def _batches(
    embedded: np.ndarray,
    clusters: np.ndarray,
    labels: np.ndarray,
    losses: np.ndarray,
    groups: int,
    group_size: int,
    generator: np.random.Generator,
) -> Iterator[np.ndarray]:
    """As many batches as make one pass over the data."""
    names = np.unique(clusters)
    members = {name: np.flatnonzero(clusters == name) for name in names}
    means = np.stack([embedded[members[name]].mean(0) for name in names])
    class_of = np.array([labels[members[name][0]] for name in names])
    for _ in range(max(1, len(clusters) // (groups * group_size))):
        share = losses[names] / losses[names].sum()
        seed = generator.choice(len(names), p=share)
        other = np.flatnonzero(class_of != class_of[seed])
        distance = np.square(means[other] - means[seed]).sum(1)
        near = other[np.argsort(distance, kind="stable")[: groups - 1]]
        chosen = [names[seed], *names[near]]
        yield np.concatenate([generator.choice(members[name], group_size) for name in chosen])
