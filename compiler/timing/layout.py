"""Stages on a mesh and the streams between them: all that the time of a plan depends on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..plan.constants import number, where_of
from ..plan.document import EdgeRecord, PlanDocument
from ..plan.stage_record import PhaseCycles, Rectangle
from ..targets.constant import Constant


@dataclass(frozen=True)
class Site:
    """A stage: where it lies, how long its phases take and what takes most of that (see
    `StageRecord.bound_by`), and updates between forward and backward of a sample."""

    id: str
    region: Rectangle
    cycles: PhaseCycles
    bound_by: str
    delay: int


@dataclass(frozen=True)
class Layout:
    """`sites` in pipeline order, streams between them, and the constants of the machine.

    `name` is for messages; `grid` are rows and columns of one wafer.
    """

    name: str
    clock_hz: float
    grid: tuple[int, int]
    wafers: int
    sites: tuple[Site, ...]
    edges: tuple[EdgeRecord, ...]
    constants: tuple[Constant, ...]

    @classmethod
    def of(cls, plan: PlanDocument) -> Layout:
        """The layout of a plan."""
        stages = sorted(plan.stages, key=lambda stage: stage.index)
        return cls(
            name=where_of(plan),
            clock_hz=plan.clock_hz,
            grid=plan.grid,
            wafers=plan.wafers,
            sites=tuple(Site(s.id, s.region, s.cycles, s.bound_by, s.delay) for s in stages),
            edges=plan.edges,
            constants=plan.provenance,
        )

    def constant(self, name: str) -> float:
        """A constant of the machine by its dotted name; UserError without it."""
        return number(self._values, name, self.name)

    @cached_property
    def _values(self) -> dict[str, object]:
        return {constant.name: constant.value for constant in self.constants}

    @cached_property
    def regions(self) -> tuple[Rectangle, ...]:
        """Regions of the sites, in their order."""
        return tuple(site.region for site in self.sites)
