"""The artefacts between stages and plan: what a stage could cost, and what was chosen.

Stages --map--> Kernels --place--> Placement
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..machine.arrays import Ints
from ..machine.tilings import apart_sides
from ..plan.stage_record import NonZeros, OperatorCost, PEMemory, PhaseCycles, Rectangle, Tiling
from ..targets.target import Target

ABREAST = 3
"""Stages that may lie side by side in a strip: more make packing slower and hardly denser."""


@dataclass(frozen=True)
class Choice:
    """One way to lay a stage on the mesh: a point of its Pareto set (height, width, interval).

    `stream_cycles` is how long a sample's inputs or outputs occupy the region's ports; streams run
    beside the arithmetic, so the slower of the two sets the stage's interval. See `StageRecord` for
    `backward_first`. If it is `apart`, the forward has a region of its own beside that of backward
    and update, both of the tiling's size.
    """

    tiling: Tiling
    operators: Sequence[OperatorCost]
    cycles: PhaseCycles
    stream_cycles: int
    memory: PEMemory
    nonzeros: NonZeros
    backward_first: bool = False
    apart: bool = False

    @property
    def purposes(self) -> tuple[str, ...]:
        """What its regions are for, see `RegionUse`."""
        return ("forward", "backward") if self.apart else ("all",)

    @property
    def pace_cycles(self) -> int:
        """What a sample takes of the busier of its regions."""
        return max(map(self.cycles.of, self.purposes))

    @cached_property
    def interval_cycles(self) -> int:
        """Least cycles between two samples."""
        return max(self.pace_cycles, self.stream_cycles)

    @property
    def height(self) -> int:
        return self._sides[0]

    @property
    def width(self) -> int:
        return self._sides[1]

    @property
    def _sides(self) -> tuple[int, int]:
        height, width = self.tiling.height, self.tiling.width
        return apart_sides(height, width) if self.apart else (height, width)

    def parts(self, region: Rectangle) -> tuple[Rectangle, ...]:
        """Its regions in the rectangle that it is given, which may lie turned."""
        if not self.apart:
            return (region,)
        sides = self.tiling.height, self.tiling.width
        height, width = sides[::-1] if self.is_turned(region) else sides
        down, right = (height, 0) if height < region.height else (0, width)
        first = replace(region, height=height, width=width)
        return first, replace(first, row=region.row + down, column=region.column + right)

    def is_turned(self, region: Rectangle) -> bool:
        """Whether the rows of its tiling lie along columns of PEs."""
        return (region.height, region.width) != self._sides

    @property
    def area(self) -> int:
        return self.height * self.width


@dataclass(frozen=True, eq=False)
class Sizes:
    """What decides between choices, one value per choice; see `Choice`."""

    heights: Ints
    widths: Ints
    interval_cycles: Ints
    memory_bytes: Ints
    stream_cycles: Ints

    @property
    def areas(self) -> Ints:
        return self.heights * self.widths


@dataclass(frozen=True, eq=False)
class LazyChoices(Sequence[Choice]):
    """Choices whose sizes are known and which are made, once, when they are looked at: most never
    are."""

    sizes: Sizes
    make: Callable[[int], Choice]
    made: dict[int, Choice] = field(default_factory=dict)

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, slice):
            return tuple(self[number] for number in range(len(self))[item])
        number = range(len(self))[item]
        if number not in self.made:
            self.made[number] = self.make(number)
        return self.made[number]

    def __len__(self) -> int:
        return len(self.sizes.heights)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


@dataclass(frozen=True)
class StageKernel:
    """The Pareto set of one stage, cheapest area first. Every choice fits a PE's memory.

    `guests` are other stages on the same region, with their choices in the same order; the sizes
    are those of all together.
    """

    stage: int
    choices: Sequence[Choice]
    guests: tuple[StageKernel, ...] = ()

    def placed(self, choice: int, region: Rectangle) -> Iterator[PlacedStage]:
        """The stage and its guests on a region."""
        for kernel in (self, *self.guests):
            yield PlacedStage(kernel.stage, kernel.choices[choice], region)

    @cached_property
    def sizes(self) -> Sizes:
        """The sizes of all choices."""
        if isinstance(self.choices, LazyChoices):
            return self.choices.sizes
        rows = [
            (c.height, c.width, c.interval_cycles, c.memory.total_bytes, c.stream_cycles)
            for c in self.choices
        ]
        return Sizes(*np.array(rows, np.int64).reshape(-1, 5).T)


@dataclass(frozen=True)
class Kernels:
    """The Pareto sets of all stages, in pipeline order but for those that are guests of others.

    With `features_on_columns`, as in 2021, no region is turned, and strips have one stage in a row.
    `finer` gives kernels with finer tilings about an interval, where they can be priced.
    """

    target: Target
    stages: tuple[StageKernel, ...]
    features_on_columns: bool = False
    finer: Callable[[Kernels, int], Kernels] | None = field(default=None, compare=False, repr=False)

    @property
    def abreast(self) -> int:
        """Stages in a row of a strip, at most."""
        return 1 if self.features_on_columns else ABREAST


@dataclass(frozen=True)
class PlacedStage:
    """A stage's choice and the rectangle it occupies, which may lie turned."""

    stage: int
    choice: Choice
    region: Rectangle

    @property
    def is_turned(self) -> bool:
        """Whether the rows of its tiling lie along columns of PEs."""
        return self.choice.is_turned(self.region)

    @property
    def parts(self) -> tuple[Rectangle, ...]:
        """Its regions: one, or that of its forward and that of its backward."""
        return self.choice.parts(self.region)


@dataclass(frozen=True)
class Placement:
    """Non-overlapping rectangles inside the target's usable grids, one per stage, or per group of
    stages that share one.

    `wafers_least` is how many wafers the stages need if each takes its smallest choice.
    """

    target: Target
    placed: tuple[PlacedStage, ...]
    wafers_least: int = 1

    @property
    def by_region(self) -> dict[Rectangle, tuple[PlacedStage, ...]]:
        """The stages of every region."""
        found: dict[Rectangle, tuple[PlacedStage, ...]] = {}
        for placed in self.placed:
            found[placed.region] = (*found.get(placed.region, ()), placed)
        return found
