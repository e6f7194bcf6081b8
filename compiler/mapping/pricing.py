"""Prices of every tiling of a stage, and the Pareto set of those that fit a PE.

For each stage all tilings are priced in one sweep (see kernels/), those over a PE's memory are
dropped, and the Pareto set of (height, width, interval) is kept. Stages that share a program and
have no mask, or random ones alike, are priced once; their FIFO depths still differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np

from ..kernels.held.memory import Post
from ..kernels.layout import StageLayout, find_layout
from ..kernels.low_rank import WITHIN
from ..kernels.nonzeros import WeightTiles, count_mask
from ..kernels.optimizer import UpdateStep
from ..kernels.stage import (
    Costs,
    Priced,
    StageTable,
    finer_tilings,
    operator_costs,
    price_stage,
    stage_tilings,
)
from ..machine.arrays import Floats, Ints
from ..machine.tilings import Tilings
from ..plan.program import Origin, Stage, StageProgram, Stages
from ..plan.routed import Routed
from ..plan.stage_record import NonZeros, OperatorCost, PhaseCycles, ProductStep, SumStep, Tiling
from ..plan.training import Mask, Training
from ..stages.skip_streams import passing_bytes
from ..stages.tied_stages import ties_of
from ..targets.reads import ByReads
from ..targets.target import Target
from .asked import asked_tiling
from .choices import Choice, Kernels, LazyChoices, Placement, Sizes, StageKernel
from .infeasible import memory_report
from .pareto import KeptTilings, kept_tilings, pareto_sets

MASK_SLACK = 0.1
"""Share of weights' memory kept free where masks change; an assumption. A mask that needs more than
the PE has asks for a new map, see remap/mask_room.py."""


Masked = tuple[float, ...] | str
"""Shares of zeros of a stage's weights, or the stage if its masks are its own."""
TableKey = tuple[
    *(str, Masked, tuple[bool, ...], Tiling | None, tuple[float, ...] | None),
    *(bool, tuple[Tiling, ...], bool),
]
"""Program, masks, which parameters are stepped as matrices, the tiling asked for, the shares of
rows that go to experts, whether the backward comes first in a tick, tilings about which finer
ones are priced, and no others, and whether forward and backward have regions of their own."""
WeightsKey = tuple[str, Masked, float]
"""Program, masks and the density of weights without one."""

KEPT_BYTES = 2**28
"""Of tables that a later mapping may use; those of ResNet-20 take 5 MB for each machine."""


@dataclass(frozen=True)
class GroupKernels:
    """The Pareto sets of `stages` that share a region, each with the same sizes; and the bytes of
    their tables."""

    stages: Stages
    kernels: tuple[StageKernel, ...]
    size_bytes: int


@dataclass(frozen=True)
class Known:
    """Layouts and tilings by program, weights by program and masks, costs of operators that more
    tables may be made of, tables, kernels of stages that share a region, kernels of all, packings
    and placements, each with what its key is about: of one model with one choice of masks, on any
    targets."""

    layouts: dict[str, tuple[StageProgram, StageLayout]] = field(default_factory=dict)
    weights: dict[WeightsKey, Mapping[int, WeightTiles]] = field(default_factory=dict)
    tilings: ByReads[Tilings] = field(default_factory=ByReads)
    costs: ByReads[Costs] = field(default_factory=ByReads)
    tables: ByReads[StageTable] = field(default_factory=ByReads)
    groups: ByReads[GroupKernels] = field(default_factory=ByReads)
    kernels: dict[Hashable, tuple[Stages, Training, Kernels]] = field(default_factory=dict)
    packings: dict[Hashable, tuple[Kernels, Any]] = field(default_factory=dict)
    placements: dict[Hashable, tuple[Stages, Placement]] = field(default_factory=dict)

    def trim(self) -> None:
        """Keep the tables used last, of `KEPT_BYTES` together, and no costs."""
        self.costs.clear()
        for kept in (self.tables, self.groups):
            total = sum(priced.size_bytes for priced in kept)
            while total > KEPT_BYTES:
                total -= kept.drop_first().size_bytes


class Pricing:
    """Prices stages, each distinct program once where no mask tells its stages apart.

    What `known` has from other cuts of the same model is not priced again. Stages of one region
    take turns in the order of ticks: where `regions_shared`, none has its backward first.
    """

    def __init__(
        self,
        stages: Stages,
        target: Target,
        training: Training,
        known: Known | None = None,
        passing: tuple[int, ...] | None = None,
        *,
        regions_shared: bool = False,
    ) -> None:
        self.stages, self.target, self.training = stages, target, training
        self.known = known or Known()
        count = Counter(stage.program.key for stage in stages.stages)
        self.shared = {key for key, stages_of in count.items() if stages_of > 1}
        self.passing = passing_bytes(stages) if passing is None else passing
        self.step = UpdateStep.of(training, stages)
        self.regions_shared = regions_shared

    def stage_kernel(self, stage: Stage) -> StageKernel:
        table, post = self.table(stage), self.post(stage)
        fits = self.fitting(stage, table)
        if len(fits) == 0:
            raise memory_report(
                stage, post, self.target, self.reprice, self.training.pe_memory
            ).error()
        kept = self.kept(table, fits)
        sharing = self.sharing(stage)
        memory = table.memory.total(post)[kept.tilings]
        sizes = Sizes(kept.heights, kept.widths, kept.interval_cycles, memory, kept.stream_cycles)
        return StageKernel(
            stage.index,
            LazyChoices(sizes, lambda i: choice_at(table, int(kept.tilings[i]), post, sharing)),
        )

    def post(self, stage: Stage) -> Post:
        """Where a stage stands in the pipeline."""
        return post_of(self.stages, stage.index, self.passing)

    def needed_bytes(self, stage: Stage) -> Floats:
        """Bytes on the fullest PE with every tiling, with room for masks that change."""
        return self.needed_bytes_of(stage, self.table(stage))

    def needed_bytes_of(self, stage: Stage, table: StageTable) -> Floats:
        """The same with the tilings of one of the stage's tables."""
        slack = MASK_SLACK if self.training.dynamic.intersection(stage.parameters) else 0.0
        return table.memory.total(self.post(stage)) + slack * table.memory.of_weights

    def fitting(self, stage: Stage, table: StageTable) -> Ints:
        """Tilings of one of the stage's tables that take no more of a PE than they may."""
        most = self.training.bytes_of(self.target)
        return np.flatnonzero(self.needed_bytes_of(stage, table) <= most)

    def least_bytes(self, stage: Stage) -> int:
        """Bytes on the fullest PE with the tiling that needs the least."""
        return ceil(self.needed_bytes(stage).min())

    def least_pe_cycles(self, stage: Stage) -> int:
        """PEs x cycles of one sample with the tiling that needs the least."""
        table = self.table(stage)
        areas = table.tilings.height * table.tilings.width
        return int((areas * table.total_cycles()).min())

    def kept(self, table: StageTable, fits: Ints) -> KeptTilings:
        """The Pareto set of the tilings `fits`, found once for stages that agree on both.

        It is that of all tilings if these are among `fits`: what they dominate stays dominated.
        """
        is_fit = np.zeros(len(table.tilings.height), bool)
        is_fit[fits] = True
        if not is_fit.all():
            of_all = self.kept(table, np.arange(len(is_fit)))
            if is_fit[of_all.tilings].all():
                return of_all
        found, key = pareto_sets(table), fits.tobytes()
        if key not in found:
            found[key] = kept_tilings(table, fits)
        return found[key]

    def sharing(self, stage: Stage) -> Stage | None:
        """The stage, if the table of its program, which others share, has another one's lines."""
        return stage if stage.program.key in self.shared else None

    def layout(self, stage: Stage) -> tuple[StageProgram, StageLayout]:
        """The first of the equal programs, and its layout."""
        key, layouts = stage.program.key, self.known.layouts
        if key not in layouts:
            layouts[key] = stage.program, find_layout(stage.program)
        return layouts[key]

    def table(self, stage: Stage) -> StageTable:
        """Prices of the stage's tilings, or of the one that is asked for."""
        return self.table_about(stage, ())

    def table_apart(self, stage: Stage) -> StageTable:
        """Prices of the same tilings, each of two regions: of forward and backward."""
        return self.table_about(stage, (), apart=True)

    def table_about(
        self, stage: Stage, about: tuple[Tiling, ...], *, apart: bool = False
    ) -> StageTable:
        """Prices of finer tilings about some, and of no others; as `table` without any."""
        pinned = self.training.tiling_of(stage)
        as_matrices = tuple(name not in self.step.by_element for name in stage.parameters)
        load = self.training.load_of(stage)
        first = self.backward_first(stage) and not apart
        own = stage.program.key, self._mask_key(stage), as_matrices, pinned, load
        key = *own, first, about, apart
        return self.known.tables(
            key,
            self.target,
            lambda target: self.reprice(
                stage,
                target=target,
                tiling=pinned,
                about=about,
                apart=apart,
                costs=None if about else self._costs(stage, target, pinned),
            ),
        )

    def _costs(self, stage: Stage, target: Target, asked: Tiling | None) -> Costs | None:
        """What operators cost by themselves, kept where both orders of phases are priced: where
        weights are tied, as stages of one region take turns, and where stages may be apart."""
        if not self.has_ties and not self.training.apart:
            return None
        program, layout = self.layout(stage)
        weights, load = self._weights(stage, layout, 1.0), self.training.load_of(stage)
        return self.known.costs(
            (program.key, self._mask_key(stage), asked, load),
            target,
            lambda one: operator_costs(
                *(stage, program, layout, weights, one),
                *(self._tilings(stage, layout, one, asked), self.training.in_sequence, load),
            ),
        )

    @cached_property
    def has_ties(self) -> bool:
        """Whether stages tie weights, and may share regions."""
        return bool(ties_of(self.stages))

    def backward_first(self, stage: Stage) -> bool:
        """Whether in a tick of the stage its backward comes first: it is of another sample than the
        forward, whose arithmetic hides sums of gradients where the target overlaps them."""
        in_order = self.regions_shared or self.training.in_sequence
        overlaps = self.target.software.triggered and not in_order
        return overlaps and self.stages.delay(stage.index) > 0

    def _mask_key(self, stage: Stage) -> tuple[float, ...] | str:
        """Equal for stages of one program whose tables are equal: random masks only count by how
        sparse they are, a real one is its stage's own."""
        masks = [self.training.masks.get(name, 0.0) for name in stage.parameters]
        shares = tuple(mask for mask in masks if isinstance(mask, float))
        return shares if len(shares) == len(masks) else stage.name

    def reprice(
        self,
        stage: Stage,
        *,
        target: Target | None = None,
        density: float = 1.0,
        optimizer_states: int | None = None,
        tiling: Tiling | None = None,
        about: tuple[Tiling, ...] = (),
        apart: bool = False,
        costs: Costs | None = None,
    ) -> StageTable:
        """The stage's table, possibly under changed circumstances, of one tiling alone, or of
        finer ones about some; `apart`, each is that of two regions; of known costs of its
        operators, if they are given."""
        program, layout = self.layout(stage)
        weights = self._weights(stage, layout, density)
        step = self.step if optimizer_states is None else UpdateStep(optimizer_states)
        machine = target or self.target
        tilings = (
            finer_tilings(layout, machine, about)
            if about
            else self._tilings(stage, layout, machine, tiling)
        )
        return price_stage(
            *(stage, program, layout, weights, machine, step, tilings),
            in_sequence=self.training.in_sequence,
            shares=self.training.load_of(stage),
            backward_first=self.backward_first(stage) and not apart,
            apart=apart,
            costs=costs,
        )

    def _tilings(
        self, stage: Stage, layout: StageLayout, target: Target, asked: Tiling | None
    ) -> Tilings:
        """All that fit the target's grid, or the one that is asked for."""
        if asked is not None:
            return asked_tiling(stage, layout, target, asked)
        return self.known.tilings(stage.program.key, target, lambda one: stage_tilings(layout, one))

    def _weights(
        self, stage: Stage, layout: StageLayout, density: float
    ) -> Mapping[int, WeightTiles]:
        """The matrices of a stage, by number; they count their non-zeros once for all tilings."""
        key = stage.program.key, self._mask_key(stage), density
        if key not in self.known.weights:
            self.known.weights[key] = {
                index: _tiles(layout, index, self.training.masks.get(name), density)
                for index, name in enumerate(stage.parameters)
                if index in layout.matrices
            }
        return self.known.weights[key]


def post_of(stages: Stages, index: int, passing: Sequence[int]) -> Post:
    """Where a stage stands in the pipeline; `passing` has the bytes of streams that pass each."""
    return Post(stages.delay(index), passing[index], stages.slots(index))


def _tiles(layout: StageLayout, index: int, mask: Mask | None, density: float) -> WeightTiles:
    matrix = layout.matrices[index]
    sizes = matrix.out_features, matrix.in_features, matrix.taps
    if density < 1.0 or mask is None:
        return WeightTiles(*sizes, density=density)
    if isinstance(mask, float):
        return WeightTiles(*sizes, density=1.0 - mask)
    kept = matrix.arranged(np.asarray(mask, dtype=bool))
    return WeightTiles(*sizes, counts=count_mask(kept, matrix.in_axis))


@dataclass(frozen=True, eq=False)
class _Operators(Sequence[OperatorCost]):
    """The operators of one tiling, priced when they are looked at: of most tilings they never are.

    The table of a program that several stages share has the source lines of the first of them, so
    then they are looked up in the program of the stage itself, `sharing`.
    """

    table: StageTable
    tiling: int
    sharing: Stage | None

    @cached_property
    def priced(self) -> tuple[OperatorCost, ...]:
        own = _origins(self.sharing) if self.sharing else {}
        other = self.sharing.origin if self.sharing else None
        return tuple(
            _operator(priced, self.tiling, own.get((priced.phase, priced.name), other))
            for priced in self.table.operators
            if _counts(priced, self.tiling)
        )

    def __getitem__(self, item: Any) -> Any:
        return self.priced[item]

    def __len__(self) -> int:
        return len(self.priced)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self.priced == tuple(other)

    def __hash__(self) -> int:
        return hash(self.priced)


def _origins(stage: Stage) -> dict[tuple[str, str], Origin]:
    """Where each operator of a stage comes from, by phase and name."""
    return {
        (phase, node.name): origin
        for phase in ("forward", "backward")
        for node in getattr(stage.program, phase).graph.nodes
        if (origin := stage.origin_of(node)) is not None
    }


def choice_at(table: StageTable, index: int, post: Post, sharing: Stage | None) -> Choice:
    """One tiling of a stage."""
    forward, backward, update = (
        int(table.phase_cycles[phase][index]) for phase in ("forward", "backward", "update")
    )
    return Choice(
        tiling=table.tilings.tiling(index),
        operators=_Operators(table, index, sharing),
        cycles=PhaseCycles(forward, backward, update),
        stream_cycles=int(table.stream_cycles[index]),
        memory=table.memory.at(index, post),
        nonzeros=NonZeros(
            dense=table.nonzeros_dense,
            total=table.nonzeros_total,
            per_pe_mean=float(table.nonzeros_mean[index]),
            per_pe_max=int(table.nonzeros_max[index]),
            per_pe_max_unbalanced=int(table.nonzeros_max[index]),
        ),
        backward_first=table.backward_first,
        apart=table.apart,
    )


def _counts(priced: Priced, index: int) -> bool:
    """Views are left out: they are priced (at nothing), not hidden."""
    return priced.family != "movement" or priced.compute[index] + priced.network[index] > 0


def _operator(priced: Priced, index: int, own_origin: Origin | None) -> OperatorCost:
    origin = own_origin or priced.origin or Origin("", "", 0)
    return OperatorCost(
        name=priced.name,
        operator=priced.operator,
        family=priced.family,
        phase=priced.phase,
        module=origin.module,
        source=f"{origin.file}:{origin.line}" if origin.file else "",
        macs_dense=priced.macs_dense,
        macs_effective=priced.macs_effective,
        compute_cycles=int(priced.compute[index]),
        network_cycles=int(priced.network[index]),
        steps=tuple(_steps(priced, index)),
    )


def _steps(priced: Priced, index: int) -> Iterator[ProductStep | SumStep | Routed]:
    """What the operator consists of, under one tiling."""
    for one in priced.products:
        product, is_joint = one.product, one.is_joint(index)
        if is_joint and one.part == WITHIN:
            continue
        yield ProductStep(
            kind=product.kind.value,
            in_features=product.in_features,
            out_features=product.out_features,
            taps=product.taps,
            in_positions=product.in_positions,
            out_positions=product.out_positions,
            halo=product.halo,
            dtype=product.dtype,
            item_bytes=product.itemsize,
            loaded=product.loaded,
            batch=product.batch,
            nonzeros=int(one.nonzeros[index]),
            cycles=ceil(one.compute[index]),
            rank=one.rank if is_joint else 0,
            sent=one.part if is_joint and one.part else "both",
        )
    for of in priced.sums:
        sizes = (of.words, of.along, of.across, of.spacing)
        counts = (int(size[index]) for size in sizes)
        yield SumStep(of.rounds, *counts, is_behind=of.is_behind)
    yield from priced.routed
