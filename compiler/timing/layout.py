"""Stages on a mesh and the streams between them: all that the time of a plan depends on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf

from ..plan.constants import number, where_of
from ..plan.document import EdgeRecord, PlanDocument
from ..plan.stage_record import PhaseCycles, Rectangle, StageRecord
from ..targets.constant import MachineConstant


@dataclass(frozen=True)
class StageSite:
    """A stage: where it lies, how long its phases take and what takes most of that (see
    `StageRecord.bound_by`), updates between forward and backward of a sample, in how many slices
    it holds the positions, bytes of a sample that lie with the host between them, whether its ticks
    begin with the backward, and which part of the region its forward has to itself, if it has."""

    id: str
    region: Rectangle
    cycles: PhaseCycles
    bound_by: str
    delay: int
    slices: int
    off_wafer_bytes: int = 0
    backward_first: bool = False
    apart: Rectangle | None = None

    @property
    def end(self) -> Rectangle:
        """The PEs that streams come from and go to: the backward's part is as large."""
        return self.apart or self.region

    @property
    def parts(self) -> int:
        """How many regions it has."""
        return 1 if self.apart is None else 2

    @classmethod
    def of(cls, stage: StageRecord) -> StageSite:
        """Where a plan has a stage."""
        slices = stage.tiling.space_split
        own = stage.id, stage.region, stage.cycles, stage.bound_by, stage.delay
        apart = stage.part if stage.is_apart else None
        return cls(*own, slices, stage.off_wafer_bytes, stage.backward_first, apart)


@dataclass(frozen=True)
class Layout:
    """`sites` in pipeline order, streams between them, and the constants of the machine.

    `name` is for messages; `grid` are rows and columns of one wafer.
    """

    name: str
    clock_hz: float
    grid: tuple[int, int]
    wafers: int
    sites: tuple[StageSite, ...]
    edges: tuple[EdgeRecord, ...]
    constants: tuple[MachineConstant, ...]

    @classmethod
    def of(cls, plan: PlanDocument) -> Layout:
        """The layout of a plan."""
        stages = sorted(plan.stages, key=lambda stage: stage.index)
        return cls(
            name=where_of(plan),
            clock_hz=plan.clock_hz,
            grid=plan.grid,
            wafers=plan.wafers,
            sites=tuple(map(StageSite.of, stages)),
            edges=plan.edges,
            constants=plan.provenance,
        )

    def constant(self, name: str) -> float:
        """A constant of the machine by its dotted name; UserError without it."""
        return number(self._values, name, self.name)

    def limit(self, name: str) -> float:
        """A constant that counts what there is; infinite where the machine does not say."""
        return self.constant(name) if name in self._values else inf

    @cached_property
    def _values(self) -> dict[str, object]:
        return {constant.name: constant.value for constant in self.constants}

    @cached_property
    def regions(self) -> tuple[Rectangle, ...]:
        """Regions of the sites, in their order."""
        return tuple(site.region for site in self.sites)

    @cached_property
    def ends(self) -> tuple[Rectangle, ...]:
        """What of each region its streams begin and end at."""
        return tuple(site.end for site in self.sites)
