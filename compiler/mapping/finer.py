"""Finer tilings of stages about the pace that a full machine allows.

stage 4: 16,192 PEs in 13,551 cycles        stage 4: 16,192 PEs in 13,551 cycles
         16,384 PEs in  9,248 cycles                 15,360 PEs in  9,840 cycles
                                                     16,384 PEs in  9,248 cycles

Splits of almost every size would take several times as long to price as the coarse ones, and most
are far from what a plan uses. So the coarse ones say about what interval all stages fit, and finer
ones are priced about those that a stage would take for it, or for one that is somewhat shorter:
with finer ones all stages may fit that, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from ..kernels.stage import StageTable
from ..machine.arrays import Ints
from ..plan.program import Stage
from ..plan.stage_record import Tiling
from .choices import Choice, Kernels, LazyChoices, Sizes, StageKernel
from .pareto import kept_sizes
from .pricing import Pricing, choice_at

_CENTRES = 8
"""Tilings of a stage about which finer ones are priced, at most."""
_LARGER = 1.2
"""How much more PEs they may take than the smallest that is fast enough."""
_FASTER = 0.75
"""How short their intervals may be, in shares of the one that is asked for."""
_SHORTER = 0.95
"""The shorter interval, in shares of the one that is asked for."""
_SHARE = 0.004
"""Equal stages that take less of the machine than this are left alone."""


def finer_kernels(pricing: Pricing, kernels: Kernels, interval: int) -> Kernels:
    """Each stage's choices and finer ones for about `interval`, as far as they are worth keeping.

    Stages that share a region, mixtures of experts, and stages whose tiling was asked for keep what
    they have.
    """
    stages = [pricing.stages.stages[kernel.stage] for kernel in kernels.stages]
    found = _Finer(pricing, interval)
    for stage, kernel in zip(stages, kernels.stages, strict=True):
        found.look_at(stage, kernel)
    pairs = zip(stages, kernels.stages, strict=True)
    return replace(kernels, stages=tuple(found.kernel(*pair) for pair in pairs), finer=None)


@dataclass(frozen=True)
class _Finer:
    """By coarse table the tilings to look about; by what a stage may choose the finer choices."""

    pricing: Pricing
    interval: int
    about: dict[int, dict[Tiling, None]] = field(default_factory=dict)
    pes: Counter[int] = field(default_factory=Counter)
    unions: dict[Hashable, Union] = field(default_factory=dict)

    def look_at(self, stage: Stage, kernel: StageKernel) -> None:
        """Note about which tilings finer ones are wanted."""
        if self._may_change(stage, kernel):
            table = id(self.pricing.table(stage))
            sizes = kernel.sizes
            self.pes[table] += int(sizes.areas[sizes.interval_cycles <= self.interval].min())
            own = self.about.setdefault(table, {})
            for interval in (self.interval, int(_SHORTER * self.interval)):
                own.update(dict.fromkeys(_centres(kernel, interval)))

    def _may_change(self, stage: Stage, kernel: StageKernel) -> bool:
        pinned = self.pricing.training.tiling_of(stage) is not None
        return not (pinned or kernel.guests or self.pricing.layout(stage)[1].experts)

    def kernel(self, stage: Stage, kernel: StageKernel) -> StageKernel:
        """The stage's kernel with the finer choices."""
        about = self._about(stage)
        if not about or not self._may_change(stage, kernel):
            return kernel
        table = self.pricing.table_about(stage, about)
        fits = self.pricing.fitting(stage, table)
        return with_choices(self.pricing, stage, kernel, table, fits, self.unions)

    def _about(self, stage: Stage) -> tuple[Tiling, ...]:
        table, target = id(self.pricing.table(stage)), self.pricing.target
        least = _SHARE * target.rows * target.columns
        return tuple(self.about.get(table, ())) if self.pes[table] >= least else ()


@dataclass(frozen=True)
class Union:
    """Coarse and finer choices worth keeping: of the coarse ones their numbers, of finer ones with
    numbers from `coarse` on the tilings."""

    coarse: int
    kept: Ints
    tilings: Ints
    heights: Ints
    widths: Ints
    interval_cycles: Ints
    stream_cycles: Ints

    @staticmethod
    def of(sizes: Sizes, table: StageTable, fits: Ints) -> Union:
        streams = table.stream_cycles
        finer = table.sides
        finer += (np.maximum(table.total_cycles(), streams), streams)
        coarse = sizes.heights, sizes.widths, sizes.interval_cycles, sizes.stream_cycles
        both = [np.concatenate((a, b[fits])) for a, b in zip(coarse, finer, strict=True)]
        kept = kept_sizes(*both)
        return Union(len(sizes.heights), kept, fits, *(values[kept] for values in both))

    def kernel(
        self, pricing: Pricing, stage: Stage, kernel: StageKernel, table: StageTable
    ) -> StageKernel:
        """The choices of a stage; what they need in memory is its own."""
        post, sharing = pricing.post(stage), pricing.sharing(stage)

        def choice(number: int) -> Choice:
            of = int(self.kept[number])
            if of < self.coarse:
                return kernel.choices[of]
            return choice_at(table, int(self.tilings[of - self.coarse]), post, sharing)

        held = table.memory.total(post)[self.tilings]
        memory = np.concatenate((kernel.sizes.memory_bytes, held))[self.kept]
        sizes = Sizes(self.heights, self.widths, self.interval_cycles, memory, self.stream_cycles)
        return StageKernel(stage.index, LazyChoices(sizes, choice))


def with_choices(
    pricing: Pricing,
    stage: Stage,
    kernel: StageKernel,
    table: StageTable,
    fits: Ints,
    unions: dict[Hashable, Union],
) -> StageKernel:
    """The stage's kernel with those tilings of another table that fit, as far as they are worth
    keeping. Stages that agree on all share what is found, in `unions`."""
    key = id(kernel.sizes.interval_cycles), id(table), fits.tobytes()
    if key not in unions:
        unions[key] = Union.of(kernel.sizes, table, fits)
    return unions[key].kernel(pricing, stage, kernel, table)


def _centres(kernel: StageKernel, interval: int) -> Iterator[Tiling]:
    """The smallest tilings that are fast enough, and if there are such, hardly faster."""
    sizes = kernel.sizes
    fast = np.flatnonzero(sizes.interval_cycles <= interval)
    least = sizes.areas[fast].min(initial=np.iinfo(np.int64).max)
    near = fast[sizes.areas[fast] <= _LARGER * least]
    near = near[np.argsort(sizes.areas[near], kind="stable")]
    hardly = near[sizes.interval_cycles[near] >= _FASTER * interval]
    for number in (hardly if len(hardly) else near)[:_CENTRES]:
        choice = kernel.choices[number]
        if choice.tiling.algorithm == "multicast" and not choice.apart:
            yield choice.tiling
