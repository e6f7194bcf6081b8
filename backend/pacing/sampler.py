"""A sampler that takes samples by their last known losses, pass after pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from ..errors import UserError
from .selection import admitted

Preference = Literal["least", "first"]


@dataclass(frozen=True)
class PassPace:
    """How many samples a pass takes.

    `threshold` is lambda (None: no threshold), `most_per_cluster` K0 (None: any number),
    `diversity` gamma; after each pass each of them grows by the factor `growth`, K0 rounded.
    `choice` 'least' takes samples by their losses; 'first' takes the first K0 of each cluster by
    index, as a public implementation does: a baseline.
    """

    threshold: float | None = None
    most_per_cluster: int | None = 500
    diversity: float = 0.5
    growth: float = 1.1
    choice: Preference = "least"

    def at(self, number: int) -> PassPace:
        """The pace of pass `number`; the first, 0, takes all samples, pass 1 has these values."""
        pace = self
        for _ in range(max(0, number - 1)):
            most = pace.most_per_cluster
            pace = replace(
                pace,
                threshold=None if pace.threshold is None else pace.threshold * self.growth,
                most_per_cluster=None if most is None else round(most * self.growth),
                diversity=pace.diversity * self.growth,
            )
        return pace


class PacedPass(NamedTuple):
    """What a pass took: samples in all, by class and by cluster, and mean losses of both parts.

    `left_out` counts the samples that it did not take.
    """

    number: int
    samples: int
    left_out: int
    by_class: dict[int, int]
    by_cluster: dict[int, int]
    mean_loss_taken: float
    mean_loss_left_out: float


class SelfPacedSampler:
    """The order of samples of each pass, and the losses it is chosen by.

    `clusters` and `labels` have an entry per sample. Pass 0 takes all; each pass is shuffled by
    (seed, pass). A sample whose loss is not known yet counts as loss 0. The state is what
    `state()` gives; a sampler that `restore`s it goes on the same way.

    Raises UserError for lengths that differ, a pace that takes nothing, and an empty data set.
    """

    def __init__(
        self, clusters: np.ndarray, labels: np.ndarray, pace: PassPace | None = None, seed: int = 0
    ) -> None:
        self.pace, self.seed, self.number = pace or PassPace(), seed, 0
        _check(clusters, labels, self.pace)
        self.clusters, self.labels = np.asarray(clusters), np.asarray(labels)
        self.losses = np.zeros(len(clusters))
        self.updates = np.full(len(clusters), -1, np.int64)

    def record(self, samples: np.ndarray, losses: np.ndarray, update: np.ndarray | int) -> None:
        """The losses of some samples, each as of an update, or all as of one.

        What is not finite is not kept; of a sample that comes twice the last counts.
        """
        finite = np.isfinite(losses)
        self.losses[samples[finite]] = losses[finite]
        self.updates[samples[finite]] = np.broadcast_to(update, losses.shape)[finite]

    def order(self) -> np.ndarray:
        """Indices of the samples of the present pass, in the order in which they are fed."""
        if self._order is None:
            generator = np.random.default_rng((self.seed, self.number))
            self._order = generator.permutation(np.flatnonzero(self._taken()))
        return self._order

    def advance(self) -> PacedPass:
        """End the present pass; returns what it took."""
        taken = self._taken()
        known = self.updates >= 0
        ended = PacedPass(
            self.number,
            int(taken.sum()),
            int((~taken).sum()),
            _counts(self.labels[taken]),
            _counts(self.clusters[taken]),
            _mean(self.losses[taken & known]),
            _mean(self.losses[~taken & known]),
        )
        self.number += 1
        self._fixed = self._order = None
        return ended

    def state(self) -> dict[str, np.ndarray]:
        """All that the sampler goes on from."""
        fixed = self._taken()
        return {
            "losses": self.losses.copy(),
            "updates": self.updates.copy(),
            "clusters": self.clusters.copy(),
            "taken": fixed.copy(),
            "number": np.array(self.number),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Become the sampler that gave `state`. Raises UserError for one of other data."""
        if state["losses"].shape != self.losses.shape:
            raise UserError(
                "self-paced sampler",
                expected=f"a state of {len(self.losses)} samples",
                got=f"one of {len(state['losses'])}",
                change="resume with the data the run began with",
            )
        self.losses, self.updates = state["losses"].copy(), state["updates"].copy()
        self.clusters, self.number = state["clusters"].copy(), int(state["number"])
        self._fixed, self._order = state["taken"].astype(bool), None

    _fixed: np.ndarray | None = None
    """The choice of the present pass: made once, by the losses known when it began."""
    _order: np.ndarray | None = None

    def _taken(self) -> np.ndarray:
        if self._fixed is None:
            self._fixed = self._choose()
        return self._fixed

    def _choose(self) -> np.ndarray:
        if self.number == 0:
            return np.ones(len(self.losses), bool)
        pace = self.pace.at(self.number)
        if pace.choice == "first":
            places = np.arange(len(self.losses), dtype=float)
            return admitted(places, self.clusters, np.inf, 0.0, pace.most_per_cluster)
        threshold = np.inf if pace.threshold is None else pace.threshold
        chosen = admitted(
            self.losses, self.clusters, threshold, pace.diversity, pace.most_per_cluster
        )
        if not chosen.any():
            raise UserError(
                f"self-paced sampler, pass {self.number}",
                expected="at least one sample",
                got=f"none below threshold {threshold:g}; the least loss is {self.losses.min():g}",
                change="raise data.sampler.threshold or diversity",
            )
        return chosen


def _counts(values: np.ndarray) -> dict[int, int]:
    keys, counts = np.unique(values, return_counts=True)
    return {int(key): int(count) for key, count in zip(keys, counts, strict=True)}


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _check(clusters: np.ndarray, labels: np.ndarray, pace: PassPace) -> None:
    valid = {
        "clusters": (len(clusters) == len(labels) > 0, f"{len(labels)}, one per label"),
        "most_per_cluster": (pace.most_per_cluster is None or pace.most_per_cluster >= 1, ">= 1"),
        "diversity": (pace.diversity >= 0, "at least 0"),
        "growth": (pace.growth >= 1, "at least 1"),
    }
    for option, (holds, expected) in valid.items():
        if not holds:
            got = len(clusters) if option == "clusters" else getattr(pace, option)
            raise UserError(
                f"self-paced sampler: {option}",
                expected=expected,
                got=str(got),
                change=f"correct {option}",
            )
