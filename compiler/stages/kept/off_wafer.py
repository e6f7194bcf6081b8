"""Activation FIFOs in the host's memory: what a stage saves leaves the wafer until its backward.

A stage's program and its numbers stay as they are. Of the samples in flight the PEs hold four: in
each tick one is written and the one before is on its way out, one is read and the next one arrives.
The host link carries what is saved twice per sample, once each way, and a sample must be back in
time, delay - 3 ticks after it has left (compiler/timing/host.py). So stages with a short delay keep
their FIFOs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ....backend.errors import UserError
from ...plan.program import Stage, Stages
from ...plan.stage_record import SLOTS_OFF_WAFER


@dataclass(frozen=True)
class OffWafer:
    """Keep the FIFOs of stages with a delay of at least `delay` updates off the wafer.

    before: forward(w, x) -> y, saved h; D + 1 samples of h on the stage's PEs
    after:  the same; 4 samples there, the others with the host
    """

    delay: int

    def __post_init__(self) -> None:
        if self.delay < 0:
            raise UserError(
                "off_wafer",
                expected="the least delay of stages whose FIFOs lie with the host, or 0",
                got=str(self.delay),
                change="off_wafer=40",
            )

    def __call__(self, stages: Stages) -> Stages:
        return replace(
            stages,
            stages=tuple(
                replace(stage, off_wafer=self._leaves(stage, stages.delay(stage.index)))
                for stage in stages.stages
            ),
        )

    def _leaves(self, stage: Stage, delay: int) -> bool:
        """Whether that saves bytes and is asked for."""
        is_shorter = delay + 1 > SLOTS_OFF_WAFER
        return is_shorter and delay >= self.delay and stage.program.saved_bytes > 0
