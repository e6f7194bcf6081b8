"""What a training run tells: while it goes on, and at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from ...backend.frame import frame
from ...backend.optim import Settings
from ...backend.pacing import PacedPass
from ...backend.shown import Shown
from ...compiler.plan.plan import Plan
from ...compiler.plan.text.numbers import facts
from ..checkpoint import Score
from ..run_facts import run_facts
from ..tick.job import Mode
from ..weights.load import copy_into
from .map_watch import NewMap


@dataclass(frozen=True)
class Progress:
    """Where a run is. `loss` is the mean over the latest samples.

    `accuracy` and `test_loss` are of the latest test, None before it; there is no accuracy where
    labels are real numbers. `skipped` counts the updates that were skipped because something was
    not finite, `new_maps` the stages whose masks have outgrown the map.
    """

    samples: int
    total: int
    epoch: int
    loss: float
    samples_per_s: float
    accuracy: float | None
    test_loss: float | None = None
    skipped: int = 0
    new_maps: int = 0

    def after(self, test: Score) -> Progress:
        """After a test."""
        return replace(self, accuracy=test.accuracy, test_loss=test.loss)


@dataclass(frozen=True, repr=False)
class RunReport(Shown):
    """What a run gave. Losses are per training sample in the order they were fed.

    A run resumed at `resumed_at` samples has the losses that came out since, the first being that
    of sample `first_loss`: those between were in flight at the checkpoint. `scores` holds a test
    after each epoch (or as the recipe says) and one at the end, earlier ones of a resumed run
    included; none for a model without predictions. Where a part of the samples is held out for
    validation, tests are on that part, and the test part is read once, at the end. `samples_per_s`
    counts training alone: no compiling, no testing. `data_wait_s` is how long training has waited
    for samples to be read. `optimizer` has the highest learning rate and the constants of the
    update rule, per sample; of a run in phases, those of the last. `activations` is the type of the
    real numbers that stages pass on. `skipped` says for each stage with any how many of its updates
    were skipped because a gradient or the loss was not finite. `tensors` and `masks` are those at
    the end. `new_maps` has each stage whose masks outgrew the map of the plan; `refused_growth`
    counts by parameter the weights that had no room to grow, since the run was begun or resumed.
    `rebuilding_errors` has for each reversible stage the relative error of what it rebuilds, over
    the latest hundred samples or so, where the recipe asks for it. `passes` has those of a
    self-paced sampler that ended since the run was begun or resumed, `sparsities`, of a run whose
    masks change, (samples trained, share of the masked weights that are zero). `state_bytes` is
    what weights, states and FIFOs take on all devices, `temporary_bytes` what XLA's training
    program needs beside them on each; None where an executor does not tell.
    """

    executor: str
    mode: Mode
    optimizer: Settings
    activations: str
    epochs: int
    losses: np.ndarray
    first_loss: int
    scores: tuple[Score, ...]
    skipped: Mapping[str, int]
    samples_per_s: float
    compile_s: float
    train_s: float
    data_wait_s: float
    tensors: Mapping[str, Tensor]
    masks: Mapping[str, Tensor]
    new_maps: tuple[NewMap, ...]
    state_bytes: int | None
    temporary_bytes: int | None
    refused_growth: Mapping[str, int] = field(default_factory=dict)
    rebuilding_errors: Mapping[str, float] = field(default_factory=dict)
    passes: tuple[PacedPass, ...] = ()
    sparsities: tuple[tuple[int, float], ...] = ()
    resumed_at: int = 0

    def __repr__(self) -> str:
        """One line: samples, speed, the last score."""
        tested = "".join(f", {name} {v:.4g}" for name, v in self._last_values())
        rate = f"{self.samples_per_s:,.0f} samples/s"
        return f"RunReport({self.executor}: {self.trained:,} samples at {rate}{tested})"

    def summary(self) -> str:
        """A few lines: scores, optimizer, speed, memory."""
        return facts(run_facts(self))

    def _last_values(self) -> list[tuple[str, float]]:
        return [pair for score in self.scores[-1:] for pair in score.values.items()]

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row for each test. Raises UserError without pandas."""
        return frame({"samples": score.samples, **score.values} for score in self.scores)

    def trained_plan(self, plan: Plan) -> Plan:
        """The plan that was trained, with the weights and masks at the end."""
        return replace(plan, tensors=self.tensors, masks=self.masks)

    def write_back(self, model: nn.Module) -> None:
        """Write the weights into the model the plan was made of; raises UserError for another."""
        copy_into(self.tensors, model)

    @property
    def trained(self) -> int:
        """Samples fed since the run was begun or resumed."""
        return self.first_loss + len(self.losses) - self.resumed_at

    @property
    def parameters(self) -> str:
        """The type of the tensors that are real numbers."""
        types = [str(value.dtype) for value in self.tensors.values() if value.is_floating_point()]
        return types[0].removeprefix("torch.") if types else self.activations

    @property
    def last_scores(self) -> tuple[Score, ...]:
        """The last test of each part: validation, if there is such a part, and test."""
        return tuple(own[-1] for own in map(self._of, ("validation", "test")) if own)

    @property
    def accuracies(self) -> tuple[tuple[int, float], ...]:
        """(samples trained, share of test samples predicted right) of each test."""
        found = ((score.samples, score.accuracy) for score in self._of("test"))
        return tuple((samples, value) for samples, value in found if value is not None)

    @property
    def test_accuracy(self) -> float:
        """After the last sample; NaN without predictions, and for labels that are real numbers."""
        return self._last("test", "accuracy")

    @property
    def test_loss(self) -> float:
        """After the last sample, as of `Score`; NaN without predictions."""
        return self._last("test", "loss")

    @property
    def validation_accuracy(self) -> float:
        """After the last sample; NaN without a part for validation."""
        return self._last("validation", "accuracy")

    @property
    def validation_loss(self) -> float:
        """After the last sample; NaN without a part for validation."""
        return self._last("validation", "loss")

    def _of(self, part: str) -> tuple[Score, ...]:
        return tuple(score for score in self.scores if score.part == part)

    def _last(self, part: str, name: str) -> float:
        value = next((getattr(score, name) for score in reversed(self._of(part))), None)
        return math.nan if value is None else value
