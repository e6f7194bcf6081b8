"""Memory of a stage's fullest PE over time, in a window of samples.

Kept all the time: weights, optimizer and normalization state, stream buffers, FIFOs of streams that
pass. A sample's activations are held from the begin of its forward to the end of its backward: the
plan's FIFO has a place for each sample that can be under way. A phase at work holds the room that
gradients and workspace share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from ...compiler.plan.document import PlanDocument
from ...compiler.plan.stage_record import StageRecord
from ..event.recording import Slice, record


@dataclass(frozen=True)
class Held:
    """From `cycle` on a PE of `stage` holds so many bytes, until the stage's next entry."""

    stage: str
    cycle: int
    kept_bytes: int
    activation_bytes: int
    working_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.kept_bytes + self.activation_bytes + self.working_bytes


def memory_over_time(
    plan: PlanDocument, samples: int, first: int, count: int
) -> Iterator[tuple[Held, ...]]:
    """Of every stage in order, from when it begins the forward of sample `first` to when it begins
    that of the last of `count` samples, in a run of `samples`. Nothing of a stage that never does.

    Raises UserError for a sample count below 1 or a plan the simulator cannot wire.
    """
    begin = max(first - max(stage.delay for stage in plan.stages), 0)
    recording = record(plan, samples, begin, first + count - begin)
    done = {name: list(own) for name, own in groupby(recording.slices(), lambda s: s.stage)}
    for stage in plan.stages:
        ended = first - stage.delay
        own = [s for s in done.get(stage.id, ()) if s.sample >= ended]
        yield tuple(_held(stage, own, first, first + count - 1))


def _held(stage: StageRecord, slices: list[Slice], first: int, last: int) -> Iterator[Held]:
    begins = {s.sample: s.begin for s in slices if s.phase == "forward"}
    if first not in begins or last not in begins:
        return
    memory = stage.memory_per_pe
    sample_bytes = memory.activation_fifo_bytes // stage.fifo_slots
    area = memory.gradient_bytes + memory.workspace_bytes
    kept = memory.total_bytes - memory.activation_fifo_bytes - area
    under_way = working = 0
    for cycle, changes in groupby(sorted(_changes(slices)), lambda change: change[0]):
        for _, more_samples, more_work in changes:
            under_way, working = under_way + more_samples, working + more_work
        if begins[first] <= cycle <= begins[last]:
            fifo = min(under_way, stage.fifo_slots) * sample_bytes
            yield Held(stage.id, cycle, kept, fifo, area * (working > 0))


def _changes(slices: list[Slice]) -> Iterator[tuple[int, int, int]]:
    """(cycle, samples more under way, phases more at work)."""
    for item in slices:
        yield item.begin, int(item.phase == "forward"), 1
        yield item.end, -int(item.phase == "backward"), -1
