"""What an executor is given and what it gives back: the vocabulary of this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from ...backend.errors import UnsupportedError, UserError
from ...backend.optim import Guard, Schedule, Settings, State, UpdateRule
from ...backend.sparsity import MaskRule
from ...compiler.plan.program import Stages, TensorSpec
from ...compiler.plan.schedule import TickSchedule, pipelined, sequential

Mode = Literal["pipelined", "sequential"]
"""'pipelined' is the tick; 'sequential' trains each sample through all stages before the next."""


@dataclass(frozen=True)
class Job:
    """A training problem: stages, start values by model name, and how weights are updated.

    `tensors` holds parameters and normalization state. `masks` maps parameter names to boolean
    tensors: where a mask is False the weight is zero and stays exactly zero. Update number j of a
    stage, made with the gradient of sample j, has the learning rate `schedule(j)`; `guard` clips
    that gradient and says if it may be used at all. A parameter with a rule in `mask_rules` gets
    new masks as training goes on. Rules of matrices step parameters in `by_element` entry by entry.
    `settings` says in words and numbers what rule and schedule are.
    Raises UserError for a tensor that is missing or has another shape, UnsupportedError for a
    tensor that several stages own.
    """

    stages: Stages
    tensors: Mapping[str, Tensor]
    masks: Mapping[str, Tensor]
    rule: UpdateRule
    schedule: Schedule
    guard: Guard = field(default_factory=Guard)
    mask_rules: Mapping[str, MaskRule] = field(default_factory=dict)
    settings: Settings = field(default_factory=dict)
    by_element: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        owners: dict[str, str] = {}
        for stage in self.stages.stages:
            program = stage.program
            specs = (*program.parameters, *program.forward_state, *program.backward_state)
            names = (*stage.parameters, *stage.forward_state, *stage.backward_state)
            for name, spec in zip(names, specs, strict=True):
                _check_owner(name, stage.name, owners)
                _check_shape(name, self.tensors.get(name), spec.shape)
        for name, mask in self.masks.items():
            _check_shape(f"mask of {name}", mask, tuple(self.tensors[name].shape))
        for name, rule in self.mask_rules.items():
            _check_shape(f"mask of {name}", self.masks.get(name), rule.shape)

    def start(self, name: str) -> Tensor:
        """A copy of the start value of `name`, zero where it is masked."""
        value = self.tensors[name].detach().clone()
        return torch.where(self.masks[name], value, 0) if name in self.masks else value

    def tick_schedule(self, mode: Mode) -> TickSchedule:
        """What a tick does."""
        if mode == "sequential":
            return sequential(self.stages)
        return pipelined(self.stages, self.rule.stash)

    def optimizer_start(self, name: str, value: Any, xp: Any) -> State:
        """The state of the update rule for a parameter before its first update."""
        return self.rule.init(value, xp, name in self.by_element)

    @property
    def statistics(self) -> tuple[str, ...]:
        """State of forwards that is of real numbers: the moving statistics of normalizations."""
        names = (name for stage in self.stages.stages for name in stage.forward_state)
        return tuple(name for name in names if self.tensors[name].is_floating_point())

    @property
    def collecting(self) -> tuple[str, ...]:
        """Parameters whose dense gradients are collected for their mask updates."""
        return tuple(name for name, rule in self.mask_rules.items() if rule.needs_gradient)

    def rate(self, update: int) -> float:
        """Learning rate of update `update`; before the first update, that of the first."""
        return self.schedule(max(update, 0))


def _check_owner(name: str, stage: str, owners: dict[str, str]) -> None:
    if name in owners:
        raise UnsupportedError(
            f"tensor '{name}'",
            expected="a parameter or state that one stage owns",
            got=f"one shared by stages '{owners[name]}' and '{stage}'",
            change="give each layer its own parameters (no weight tying) and normalization state",
        )
    owners[name] = stage


def _check_shape(name: str, value: Tensor | None, shape: tuple[int, ...]) -> None:
    if value is None or tuple(value.shape) != shape:
        raise UserError(
            f"tensor '{name}'",
            expected=f"shape {shape}",
            got="no such tensor" if value is None else f"shape {tuple(value.shape)}",
            change="give start values for every parameter and state of the stages"
            " (a model compiled on the meta device has none)",
        )


@dataclass(frozen=True)
class Stream:
    """Values of consecutive samples, one row each, from sample number `first` on (0 if none)."""

    first: int
    values: np.ndarray


@dataclass(frozen=True)
class Results:
    """What came out of the pipeline: losses, and each of the model's predictions."""

    losses: Stream
    predictions: tuple[Stream, ...]


@dataclass(frozen=True)
class Skips:
    """Updates of one stage that were skipped: all, those in a row just now, the longest row."""

    total: int = 0
    current: int = 0
    longest: int = 0

    def after(self, was_skipped: bool) -> Skips:
        """The counts after one more sample."""
        current = self.current + 1 if was_skipped else 0
        return Skips(self.total + was_skipped, current, max(self.longest, current))


def to_rows(values: Sequence[np.ndarray]) -> np.ndarray:
    """One row per sample: of a value of shape (1, ...) what is in its batch dimension.

    Types that numpy does not have, such as bfloat16, become float32.
    """
    if not values:
        return np.empty(0)
    rows = np.stack([value[0] if value.shape[:1] == (1,) else value for value in values])
    return rows.astype(np.float32) if rows.dtype.kind == "V" else rows


def to_tensor(array: np.ndarray, spec: TensorSpec) -> Tensor:
    """Values of a model input that numpy holds, in memory of their own, as torch has them."""
    return torch.tensor(array, dtype=spec.torch_dtype)


def to_numpy(value: Tensor) -> np.ndarray:
    """A tensor as an array; bfloat16, which numpy does not have, becomes float32."""
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()


def to_stream(by_sample: Mapping[int, Tensor]) -> Stream:
    """Values of consecutive samples, by sample number, as a stream."""
    values = [to_numpy(by_sample[sample]) for sample in sorted(by_sample)]
    return Stream(min(by_sample, default=0), to_rows(values))


class Executor(Protocol):
    """Runs a `Job` sample by sample. Arrays have one row per sample."""

    def feed(self, inputs: Sequence[np.ndarray]) -> Results:
        """Feed samples, one tick each, and return what came out meanwhile."""
        ...

    def flush(self) -> Results:
        """Stop feeding and tick until the pipeline is empty. Feeding may go on afterwards."""
        ...

    def evaluate(
        self, inputs: Sequence[np.ndarray], statistics: Mapping[str, Tensor] | None = None
    ) -> tuple[np.ndarray, ...]:
        """Predictions with the current weights and normalization state; disturbs nothing.

        `statistics` take the place of the current ones of these names.
        """
        ...

    def statistics(self) -> dict[str, Tensor]:
        """Current statistics of normalizations by model name: see `Job.statistics`."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Current parameters and normalization state by model name."""
        ...

    def masks(self) -> dict[str, Tensor]:
        """Current masks by parameter name."""
        ...

    def skips(self) -> tuple[Skips, ...]:
        """For each stage, the updates skipped because a gradient or the loss was not finite."""
        ...

    def snapshot(self) -> dict[str, Tensor]:
        """All that training goes on from, by name: what the stages hold, and what is in flight.

        The tensors are copies, contiguous, on the CPU. Take it between calls of `feed`.
        """
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Become the executor that gave the snapshot `tensors`, to the bit.

        Raises UserError for a snapshot of another job.
        """
        ...


def sample_arrays(stages: Stages, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The model inputs as arrays (N, *shape of one sample) of the model's dtypes, but for bfloat16,
    which a device makes of float32.

    Raises UserError if their number, sizes or lengths do not fit the model.
    """
    specs = stages.model_inputs
    lengths = {len(array) for array in inputs}
    fits = len(inputs) == len(specs) and len(lengths) == 1
    if fits:
        fits = all(
            array.size == len(array) * spec.elements
            for array, spec in zip(inputs, specs, strict=True)
        )
    if not fits:
        raise UserError(
            "model inputs",
            expected="one array per input with one row per sample; rows of shape "
            + ", ".join(str(spec.shape) for spec in specs),
            got=", ".join(str(array.shape) for array in inputs),
            change="use data of the shape the model was compiled for",
        )
    return [
        np.array(array, dtype=spec.host_dtype).reshape(len(array), *spec.shape)
        for array, spec in zip(inputs, specs, strict=True)
    ]
