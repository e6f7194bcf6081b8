"""Measured training runs, simulated from the model's own class: compile, place, run.

A run is compiled under the conditions its source states; what the source leaves open is written
beside the model here. Nothing in the target file was fitted on such a run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..backend.errors import UserError
from ..backend.flops import module_ledger
from ..compiler.plan.evidence.of_plan import bound_mix
from ..compiler.plan.plan import Plan
from ..compiler.targets import Target, load_target
from ..sim.simulate import simulate
from ..sim.validation.report import MeasuredPoint, Trend
from ..sim.validation.row import Row
from ..sim.validation.trends import setting
from .published import Prediction

if TYPE_CHECKING:
    from torch import nn

KERNEL = "training_run"
MODE = "layer-pipelined"
MAPPINGS = "2021"
"""Of that machine's compiler we know what was published then: products in sequence."""
_SAMPLES = 500
_TARGET = "wse2"
_PASSES_IN = 2


@dataclass(frozen=True)
class TrainingSubject:
    """A model on the meta device, one sample of it, and optimizer states per weight."""

    model: nn.Module
    sample: Mapping[str, Any]
    optimizer_states: int


def bert(tokens: int) -> TrainingSubject:
    """BERT-large with Adam, as study/bert.py says."""
    from .bert import bert_large

    return TrainingSubject(*bert_large(tokens), optimizer_states=2)


SUBJECTS: dict[str, Callable[[int], TrainingSubject]] = {"bert-large": bert}


def reason_against(row: Row) -> str:
    """Why a measured run cannot be simulated; empty if it can."""
    if row.columns.get("mode") != MODE:
        return (
            f"{row.columns.get('mode')}: one layer at a time over the whole wafer, weights sent in"
            " for every batch; plans here keep all layers on the wafer"
        )
    if row.columns.get("model") not in SUBJECTS:
        return f"the model is none of {', '.join(SUBJECTS)}"
    return ""


@dataclass(frozen=True)
class TrainingRun:
    """A measured run: samples per second of a plan in steady state, at the event level."""

    name: str = KERNEL
    target: str = _TARGET
    measured: tuple[str, ...] = ("samples_per_s",)

    def simulate(self, target: Target, row: Row) -> tuple[float]:
        """Raises UserError for a run that cannot be simulated, or without transformers."""
        return (simulate(plan_of(target, row), _SAMPLES).throughput_samples_per_s,)

    def most(self, target: Target, row: Row) -> float:
        """Samples per second that no program on the machine exceeds."""
        return most_samples_per_s(target, row)

    def figures(self, target: Target, row: Row) -> tuple[Prediction]:
        """The same, and what the plan's cycles are spent on."""
        plan = plan_of(target, row)
        value = simulate(plan, _SAMPLES).throughput_samples_per_s
        return (Prediction(value, bound_mix(plan.document)),)


def plan_of(target: Target, row: Row) -> Plan:
    """The model of a run, one stage per block."""
    from ..compiler.pipeline import Options, compile_model

    reason = reason_against(row)
    if reason:
        raise UserError(
            row.where,
            expected=f"a {MODE} run of {', '.join(SUBJECTS)}",
            got=reason,
            change="leave the row out",
        )
    subject = SUBJECTS[row.columns["model"]](row.count("seq_len"))
    options = Options(
        granularity="block",
        optimizer_states=subject.optimizer_states,
        name=row.columns["model"],
        mappings=MAPPINGS,
    )
    return compile_model(subject.model, subject.sample, target=target, options=options)


def most_samples_per_s(target: Target, row: Row) -> float:
    """What no run of a row's model can exceed: every multiply-add of every PE at the highest clock
    that the machine has. Each product of the forward has two in the backward."""
    subject = SUBJECTS[row.columns["model"]](row.count("seq_len"))
    ledger = module_ledger(subject.model, tuple(subject.sample.values()))
    dtype = str(next(subject.model.parameters()).dtype).removeprefix("torch.")
    rate = target.compute[dtype].macs_per_cycle * target.rows * target.columns
    return 2 * rate * max(target.clock_hz, target.clock_max_hz) / ledger.training.dense


def streaming_bound(target: Target, weight_bytes: int, batch: int) -> float:
    """Samples per second that weight streaming cannot exceed, whatever it computes with.

    Forward and backward each need all weights from outside, once per batch.
    """
    return batch * target.host.bytes_per_s / (_PASSES_IN * weight_bytes)


def training_trends(points: Sequence[MeasuredPoint]) -> tuple[Trend, ...]:
    """A model that fits the wafer trains faster pipelined than streamed, one sample per update."""
    return tuple(_beats_streaming(point) for point in points if point.kernel == KERNEL)


def _beats_streaming(point: MeasuredPoint) -> Trend:
    name, tokens = setting(point, "model"), int(setting(point, "seq_len"))
    weights = sum(p.numel() * p.element_size() for p in SUBJECTS[name](tokens).model.parameters())
    streamed = streaming_bound(load_target(_TARGET), weights, batch=1)
    bound = f"streamed at most {streamed:,.0f}/s"
    return Trend(
        f"{name} is faster pipelined than streamed, one sample per update",
        f"pipelined {point.measured:,.0f}/s",
        f"pipelined {point.simulated:,.0f}/s, {bound}",
        passed=min(point.measured, point.simulated) > streamed,
    )


KERNELS = (TrainingRun(),)
