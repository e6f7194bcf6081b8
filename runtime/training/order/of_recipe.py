"""The order that a recipe asks for, and the clusters that a self-paced one needs."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from torch import nn

from ....backend.errors import UserError
from ....backend.pacing import PassPace, SelfPacedSampler, cluster, embed
from ....compiler.recipes.recipe import Recipe, SamplerRecipe
from ...checkpoint import Checkpoint
from ...data import Augmented, Splits, rows_of
from ...jax.shards.processes import check_alike
from .order import Order
from .self_paced import SelfPaced
from .shuffled import Shuffled

_WIDTH, _DIMENSIONS = 256, 2
"""Of the embedding: a perceptron of one hidden layer."""


def order_of(recipe: Recipe, data: Splits, start: Checkpoint | None) -> Order:
    """The order of a run's training samples; one that goes on keeps the clusters it has.

    Raises UserError where a self-paced sampler has data without one class per sample, in an order
    of their own, or more clusters than a class has samples.
    """
    sampler = recipe.data.sampler
    if sampler.kind == "random":
        return Shuffled(data, recipe.seed)
    _check(data)
    plain = data.train.plain if isinstance(data.train, Augmented) else data.train
    *inputs, labels = rows_of(plain)
    classes = labels.reshape(-1).astype(np.int64)
    if start is None or not start.order:
        clusters = _clusters(sampler, inputs, classes, recipe.seed)
        check_alike(clusters=clusters.tobytes())
    else:
        clusters = start.order["clusters"].numpy()
    pace = PassPace(
        sampler.threshold,
        sampler.most_per_cluster,
        sampler.diversity,
        sampler.growth,
        sampler.choice,
    )
    return SelfPaced(SelfPacedSampler(clusters, classes, pace, recipe.seed))


def _check(data: Splits) -> None:
    *inputs, label = data.train.forms
    is_class = label.dtype.kind in "iu" and prod(label.shape) == 1
    if not inputs or not is_class or any(form.dtype.kind == "i" for form in inputs):
        forms = ", ".join(f"{form.dtype} of shape {form.shape}" for form in data.train.forms)
        raise _unfit("samples of real numbers with one class each", f"arrays of {forms}")
    if not data.shuffles:
        raise _unfit("samples that may come in any order", f"data set {data.name} in its own order")


def _clusters(
    sampler: SamplerRecipe, inputs: list[np.ndarray], classes: np.ndarray, seed: int
) -> np.ndarray:
    """Number of each sample's cluster."""
    x = np.concatenate([array.reshape(len(array), -1) for array in inputs], 1).astype(np.float32)
    if not sampler.embedding_epochs:
        return cluster(x, classes, sampler.clusters, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Linear(x.shape[1], _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, _DIMENSIONS)
        )
    return embed(
        network, x, classes, epochs=sampler.embedding_epochs, per_class=sampler.clusters, seed=seed
    )


def _unfit(expected: str, got: str) -> UserError:
    return UserError(
        "data.sampler self_paced",
        expected=expected,
        got=got,
        change="set data.sampler=random, or give other data",
    )
