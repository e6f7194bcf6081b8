"""The least time of training steps on a roofline: stage after stage, arithmetic or memory.

Each stage is one perfect kernel per phase: its weights and what it reads and writes pass the memory
once, beside the arithmetic. Real chips are slower; nothing here makes one faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..compiler.plan.work import StageWork
from ..compiler.targets.roofline import Roofline


@dataclass(frozen=True)
class RooflineReport:
    """A training step of `batch` samples at best. Shares are of the peak and of the memory."""

    batch: int
    step_s: float
    latency_s: float
    memory_bytes: int
    memory_share: float
    utilisation: float
    bound_by: str

    @property
    def throughput_samples_per_s(self) -> float:
        return self.batch / self.step_s

    @property
    def fits(self) -> bool:
        return self.memory_share <= 1


@dataclass(frozen=True)
class _Phase:
    """Seconds that one phase of one stage takes of the arithmetic and of the memory."""

    arithmetic_s: float
    memory_s: float

    @property
    def seconds(self) -> float:
        return max(self.arithmetic_s, self.memory_s)


def roofline(
    work: Sequence[StageWork], chip: Roofline, batch: int, optimizer_states: int
) -> RooflineReport:
    """Bound a step of `batch` samples, and the latency of one sample alone to its loss.

    Raises UnsupportedError for a dtype the chip has no peak for.
    """
    phases = [phase for stage in work for phase in _phases(stage, chip, batch, optimizer_states)]
    step = sum(phase.seconds for phase in phases)
    computing = sum(p.seconds for p in phases if p.arithmetic_s >= p.memory_s)
    macs = batch * sum(stage.forward_macs + stage.backward_macs for stage in work)
    held = _bytes(work, batch, optimizer_states)
    return RooflineReport(
        batch=batch,
        step_s=step,
        latency_s=sum(_forward(stage, chip, 1).seconds for stage in work),
        memory_bytes=held,
        memory_share=held / chip.memory.bytes,
        utilisation=macs / chip.macs_per_s(_dtype(work)) / step if step else 0.0,
        bound_by="compute" if computing >= step / 2 else "memory",
    )


def _dtype(work: Sequence[StageWork]) -> str:
    """The dtype in which most of the arithmetic is done."""
    macs: dict[str, int] = {}
    for stage in work:
        total = stage.forward_macs + stage.backward_macs
        macs[stage.dtype] = macs.get(stage.dtype, 0) + total
    return max(macs, key=lambda dtype: macs[dtype])


def _phases(
    stage: StageWork, chip: Roofline, batch: int, optimizer_states: int
) -> tuple[_Phase, ...]:
    rate, bandwidth = chip.macs_per_s(stage.dtype), chip.memory.bytes_per_s
    backward_bytes = stage.parameter_bytes + stage.trainable_bytes + batch * stage.backward_bytes
    backward = _Phase(batch * stage.backward_macs / rate, backward_bytes / bandwidth)
    # reads weight, gradient and state; writes weight and state
    passes = 3 + 2 * optimizer_states
    update = _Phase(0.0, passes * stage.trainable_bytes / bandwidth)
    return _forward(stage, chip, batch), backward, update


def _forward(stage: StageWork, chip: Roofline, batch: int) -> _Phase:
    moved = stage.parameter_bytes + batch * stage.forward_bytes
    arithmetic = batch * stage.forward_macs / chip.macs_per_s(stage.dtype)
    return _Phase(arithmetic, moved / chip.memory.bytes_per_s)


def _bytes(work: Sequence[StageWork], batch: int, optimizer_states: int) -> int:
    """Weights, gradients, optimizer state, and what the backward of all samples needs."""
    kept = sum(s.parameter_bytes + (1 + optimizer_states) * s.trainable_bytes for s in work)
    return kept + batch * sum(stage.saved_bytes for stage in work)
