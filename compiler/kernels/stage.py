"""Cost and memory of a whole stage under every tiling: its operators, phase by phase."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress

import numpy as np
from torch import fx

from ..machine.arrays import Bools, Floats, Ints, ceil_div
from ..machine.collectives import AllReduce
from ..machine.cost import Cost, PricedProduct
from ..machine.hand_over import FAMILY, OPERATOR, SAVED, WEIGHTS, hand_over_cycles
from ..machine.summa import has_squares
from ..machine.tilings import (
    COARSE,
    FINE,
    Tilings,
    apart_sides,
    enumerate_tilings,
    line_tilings,
    square_tilings,
    tilings_about,
)
from ..plan.program import Origin, Stage, StageProgram, TensorSpec
from ..plan.routed import Routed
from ..plan.stage_record import Tiling
from ..targets.target import Target
from ..timing.streams import side_links
from .held.memory import MemoryTable, Stored, memory_table, stored_parameters
from .joint_sums import PricedNode as Found
from .joint_sums import behind, unread, waited_for, waited_for_in_both
from .layout import StageLayout
from .low_rank import joined
from .nonzeros import WeightTiles
from .optimizer import UpdateStep, matrix_step, update
from .registry import KERNELS, cost_of, kernel_for
from .roles import Roles, calls, operator_of
from .site import Site

PHASES = ("forward", "backward", "update")
Costs = Mapping[str, Sequence[Found]]
"""By phase what its operators cost, each by itself."""

_VECTORS = 8
"""Of so few positions it may pay that all lines of PEs hold the same."""


@dataclass(frozen=True)
class Priced:
    """One operator with its cycles (whole numbers) under every tiling."""

    name: str
    operator: str
    family: str
    phase: str
    origin: Origin | None
    macs_dense: int
    macs_effective: int
    compute: Ints
    network: Ints
    products: tuple[PricedProduct, ...]
    sums: tuple[AllReduce, ...]
    routed: tuple[Routed, ...]


@dataclass(frozen=True)
class StageTable:
    """A stage under every tiling that fits the grid; memory not yet held against capacity. If it is
    `apart`, each is that of two regions, of forward and backward; memory is that of the latter."""

    tilings: Tilings
    operators: tuple[Priced, ...]
    memory: MemoryTable
    stream_cycles: Ints
    nonzeros_dense: int
    nonzeros_total: int
    nonzeros_mean: Floats
    nonzeros_max: Ints
    backward_first: bool = False
    apart: bool = False

    @cached_property
    def sides(self) -> tuple[Ints, Ints]:
        """Height and width of what every tiling occupies."""
        sides = self.tilings.height, self.tilings.width
        return apart_sides(*sides) if self.apart else sides

    @cached_property
    def areas(self) -> Ints:
        """PEs that every tiling occupies."""
        height, width = self.sides
        return height * width

    @cached_property
    def phase_cycles(self) -> dict[str, Ints]:
        """Cycles of each phase: its operators run one after the other."""
        found = {phase: np.zeros(len(self.tilings), np.int64) for phase in PHASES}
        for operator in self.operators:
            found[operator.phase] += operator.compute + operator.network
        return found

    def total_cycles(self) -> Ints:
        """What a sample takes of the region; of two, of the busier one."""
        forward, backward, update = self.phase_cycles.values()
        after = backward + update
        return np.maximum(forward, after) if self.apart else forward + after

    @property
    def size_bytes(self) -> int:
        """About what its arrays take: two for each operator, a dozen for the stage."""
        return 8 * len(self.tilings) * (2 * len(self.operators) + 12)


def price_stage(
    stage: Stage,
    program: StageProgram,
    layout: StageLayout,
    weights: Mapping[int, WeightTiles],
    target: Target,
    step: UpdateStep,
    tilings: Tilings | None = None,
    in_sequence: bool = False,
    shares: tuple[float, ...] | None = None,
    backward_first: bool = False,
    costs: Costs | None = None,
    apart: bool = False,
) -> StageTable:
    """Price every operator of a stage under every tiling that fits the target's grid, or `tilings`;
    with `in_sequence` each operator waits for the sums of the one before. `shares` of the rows of
    a mixture go to each expert; None: the same to all. If in a tick the backward comes before the
    forward (`backward_first`), sums of its gradients go on behind that. If they are `apart`, on
    regions of their own, they hand over what they have for each other. `costs` are those of
    `operator_costs`, if they are known.

    `program` is the stage's own or an equal one: `layout` refers to its nodes.

    Raises UnsupportedError for an operator or a dtype the target has no kernel for.
    """
    if tilings is None:
        tilings = stage_tilings(layout, target)
    site = _site(target, tilings, layout, weights, in_sequence, shares)
    stored = stored_parameters(site, layout, program)
    if costs is None:
        costs = _costs_at(site, stage, program, layout)
    operators = (
        *_phase_costs(site, costs, program, layout, backward_first),
        *_update_costs(site, stage, program, layout, stored, step),
    )
    held = [spec for n, spec in enumerate(program.parameters) if n not in layout.lent]
    dense = sum(spec.elements for spec in held)
    zeros = sum(w.dense - w.total for w in weights.values())
    memory = memory_table(
        *(site, layout, program, stored, step.states, backward_first),
        {phase: dict(_joint(operators, phase)) for phase in PHASES},
    )
    if apart:
        operators = (*operators, *_handed_over(site, stage, memory, any(program.trainable)))
    return StageTable(
        tilings=tilings,
        operators=operators,
        memory=memory,
        stream_cycles=stream_cycles(program, tilings, target),
        nonzeros_dense=dense,
        nonzeros_total=dense - zeros,
        nonzeros_mean=sum((s.mean_elements for s in stored), site.zeros()),
        nonzeros_max=sum((s.elements for s in stored), np.zeros(len(tilings), np.int64)),
        backward_first=backward_first,
        apart=apart,
    )


def _handed_over(
    site: Site, stage: Stage, memory: MemoryTable, is_trained: bool
) -> Iterator[Priced]:
    """What the forward waits for: weights from the backward's region, and what it saved to be
    there. The other region goes on beside."""
    nothing = np.zeros(len(site.tilings), np.int64)
    sent = [(WEIGHTS, memory.weights if is_trained else nothing), (SAVED, memory.saved_bytes)]
    for name, size_bytes in sent:
        cycles = hand_over_cycles(size_bytes, site.tilings, site.target.noc)
        cost = Cost(site.zeros(), cycles)
        yield _priced(name, OPERATOR, FAMILY, "forward", stage.origin, cost)


def _joint(operators: Iterable[Priced], phase: str) -> Iterator[tuple[str, Bools]]:
    """Operators of a phase with low-rank factors in their product, and under which tilings."""
    for operator in operators:
        for one in operator.products:
            if operator.phase == phase and one.rank and one.joint is not None:
                yield operator.name, one.joint


def stage_tilings(layout: StageLayout, target: Target) -> Tilings:
    """All that fit the grid, of every algorithm that the stage's products and the target allow; of
    convolutions, whose positions are many, with finer splits."""
    sizes = layout.in_features, layout.positions, layout.out_features
    grid = target.rows, target.columns
    if layout.experts:
        return _experts_tilings(layout.experts, sizes, *grid)
    has_taps = any(matrix.taps > 1 and not matrix.is_batch for matrix in layout.matrices.values())
    found = enumerate_tilings(*sizes, *grid, FINE if has_taps else COARSE)
    if not layout.is_linear:
        return found
    if layout.positions <= _VECTORS:
        sides = layout.in_features, layout.out_features
        found = found.beside(line_tilings(*sides, *grid, in_turn=len(layout.matrices) > 1))
    if has_squares(target):
        found = found.beside(square_tilings(sizes, *grid))
    return found


def finer_tilings(layout: StageLayout, target: Target, about: Sequence[Tiling]) -> Tilings:
    """Tilings of about the sides and the areas of some of `stage_tilings`, with splits of almost
    every size."""
    sizes = layout.in_features, layout.positions, layout.out_features
    splits = [(one.in_split, one.space_split, one.out_split) for one in about]
    return tilings_about(splits, sizes, target.rows, target.columns)


def _experts_tilings(experts: int, sizes: tuple[int, int, int], rows: int, columns: int) -> Tilings:
    """Every expert has rows of PEs of its own; on a machine with fewer rows several in turn have
    the same ones."""
    beside = max(n for n in range(1, min(experts, rows) + 1) if experts % n == 0)
    into, positions, out = sizes
    one = enumerate_tilings(into // experts, positions, out, rows // beside, columns)
    return replace(one, in_split=one.in_split * beside)


def stream_cycles(program: StageProgram, tilings: Tilings, target: Target) -> Ints:
    """Cycles that a sample's inputs (or outputs, if more) take to pass one side of the region.

    A region sends and receives through one side, each PE of it over its own link. Lanes can turn,
    so that may be the longer side. Gradients, and what is given back, run the other way on the same
    links at once.
    """
    arriving, leaving = _size_bytes(program.inputs), _size_bytes(program.outputs)
    taken = compress(program.outputs, program.output_needs_grad)
    given = compress(program.inputs, program.input_needs_grad)
    back = (
        _size_bytes((*taken, *program.arriving_specs)),
        _size_bytes((*given, *program.rebuilt_specs)),
    )
    lanes = side_links(tilings.height, tilings.width)
    return ceil_div(max(arriving, leaving, *back), lanes * target.noc.link_bytes_per_cycle)


def _size_bytes(specs: Iterable[TensorSpec]) -> int:
    return sum(spec.size_bytes for spec in specs)


def _site(
    target: Target,
    tilings: Tilings,
    layout: StageLayout,
    weights: Mapping[int, WeightTiles],
    in_sequence: bool,
    shares: tuple[float, ...] | None,
) -> Site:
    in_axis = {index: matrix.in_axis for index, matrix in layout.matrices.items()}
    site = Site(target, tilings, layout.forward, weights, in_axis, in_sequence)
    return replace(site, shares=shares)


def operator_costs(
    stage: Stage,
    program: StageProgram,
    layout: StageLayout,
    weights: Mapping[int, WeightTiles],
    target: Target,
    tilings: Tilings,
    in_sequence: bool,
    shares: tuple[float, ...] | None,
) -> Costs:
    """What the operators of both phases cost by themselves, whichever phase comes first in a tick;
    arguments as for `price_stage`."""
    site = _site(target, tilings, layout, weights, in_sequence, shares)
    return _costs_at(site, stage, program, layout)


def _costs_at(site: Site, stage: Stage, program: StageProgram, layout: StageLayout) -> Costs:
    where = f"stage {stage.name}"
    found: dict[str, list[Found]] = {}
    for phase, module, roles in _phases(program, layout):
        own = replace(site, roles=roles)
        nodes = calls(module.graph)
        priced = [(n, cost_of(n, kernel_for(n, where), own, where)) for n in nodes]
        found[phase] = joined(priced, own, layout.factors)
    return found


def _phases(
    program: StageProgram, layout: StageLayout
) -> tuple[tuple[str, fx.GraphModule, Roles], ...]:
    return (
        ("forward", program.forward, layout.forward),
        ("backward", program.backward, layout.backward),
    )


def _phase_costs(
    site: Site, costs: Costs, program: StageProgram, layout: StageLayout, backward_first: bool
) -> Iterator[Priced]:
    """The operators of the forward, then those of the backward."""
    found = {phase: list(own) for phase, own in costs.items()}
    if not site.in_sequence:
        for phase, module, roles in _phases(program, layout):
            is_followed = backward_first and phase == "backward"
            waiting = unread(roles, module.graph)
            found[phase] = behind(costs[phase], waiting, site.target, is_followed)
    if backward_first:
        backward, forward = waited_for_in_both(found["backward"], found["forward"])
        found = {"forward": forward, "backward": backward}
    else:
        found = {phase: waited_for(own) for phase, own in found.items()}
    for phase, own in found.items():
        for node, cost in own:
            family = KERNELS[operator_of(node)].family
            origin = node.meta.get("origin")
            yield _priced(node.name, operator_of(node), family, phase, origin, cost)


def _update_costs(
    site: Site,
    stage: Stage,
    program: StageProgram,
    layout: StageLayout,
    stored: list[Stored],
    step: UpdateStep,
) -> Iterator[Priced]:
    before: dict[str, Ints] = {}
    for index, (name, spec) in enumerate(zip(stage.parameters, program.parameters, strict=True)):
        if not program.trainable[index] or index in layout.lent:
            continue
        elements, others = stored[index].elements, before.get(spec.dtype)
        cost = update(site, elements, spec.dtype, step.states, others)
        before[spec.dtype] = elements if others is None else others + elements
        if step.rule is not None and name not in step.by_element:
            cost = cost + matrix_step(site, step.rule, spec)
        yield _priced(f"update({name})", "weft.update", "optimizer", "update", stage.origin, cost)


def _priced(
    name: str, operator: str, family: str, phase: str, origin: Origin | None, cost: Cost
) -> Priced:
    return Priced(
        name,
        operator,
        family,
        phase,
        origin,
        cost.macs_dense,
        cost.macs_effective,
        np.ceil(cost.compute).astype(np.int64),
        np.ceil(cost.network).astype(np.int64),
        cost.products,
        cost.sums,
        cost.routed,
    )
