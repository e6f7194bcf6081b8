"""The artefacts between stages and plan: what a stage could cost, and what was chosen.

Stages --map--> Kernels --place--> Placement
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from .plan.document import NonZeros, OperatorCost, PEMemory, PhaseCycles, Rectangle, Tiling
from .targets.target import Target


@dataclass(frozen=True)
class Choice:
    """One way to lay a stage on the mesh: a point of its Pareto set (height, width, interval).

    `stream_cycles` is how long a sample's inputs or outputs occupy the region's ports; streams run
    beside the arithmetic, so the slower of the two sets the stage's interval.
    """

    tiling: Tiling
    operators: Sequence[OperatorCost]
    cycles: PhaseCycles
    stream_cycles: int
    memory: PEMemory
    nonzeros: NonZeros

    @cached_property
    def interval_cycles(self) -> int:
        """Least cycles between two samples."""
        return max(self.cycles.total_cycles, self.stream_cycles)

    @property
    def height(self) -> int:
        return self.tiling.height

    @property
    def width(self) -> int:
        return self.tiling.width

    @property
    def area(self) -> int:
        return self.height * self.width


@dataclass(frozen=True)
class StageKernel:
    """The Pareto set of one stage, cheapest area first. Every choice fits a PE's memory."""

    stage: int
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Kernels:
    """The Pareto sets of all stages, in pipeline order."""

    target: Target
    stages: tuple[StageKernel, ...]


@dataclass(frozen=True)
class PlacedStage:
    """A stage's choice and the rectangle it occupies."""

    stage: int
    choice: Choice
    region: Rectangle


@dataclass(frozen=True)
class Placement:
    """Non-overlapping rectangles inside the target's usable grid, one per stage."""

    target: Target
    placed: tuple[PlacedStage, ...]
