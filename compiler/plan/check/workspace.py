"""The rule about what a phase makes and uses up: the largest of all moments of both phases."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from math import ceil

from torch import fx

from ....backend.per_object import once_per_object
from ..program import StageProgram
from ..stage_record import ProductStep, StageRecord, Tiling
from .regions.dealt import dealt
from .regions.shared import arguments, gradient_of_input, is_turned, lent_inputs, saved_inputs
from .timeline import (
    PRODUCTS,
    CheckedProduct,
    OperatorMoment,
    Phase,
    backward_phase,
    features,
    forward_phase,
    moments,
    summands,
    weights_of,
)
from .violation import Finding, Subject

Lent = tuple[tuple[int, ...], bool]
"""Inputs of a stage that are weights of its region, and whether these lie turned."""
_WAITING = 3
_Phases = tuple[tuple[OperatorMoment, ...], tuple[OperatorMoment, ...]]


def workspace(subject: Subject) -> Iterator[Finding]:
    """Forward and backward take turns: the backward's workspace, or what the forward's exceeds the
    gradient's memory by, whichever is larger; the whole forward's beside a gradient whose sum goes
    on meanwhile."""
    most = _side_bytes(subject)
    found: dict[tuple[str, Lent, Tiling, frozenset[tuple[str, int]]], tuple[int, int]] = {}
    for position, stage in enumerate(subject.plan.stages):
        program = subject.programs.get(stage.program)
        if program is None:
            continue
        turned = is_turned(subject.plan, subject.users[position])
        lent = tuple(lent_inputs(subject.plan, subject.programs, position)), turned
        phases, joint = _known_phases(program), _with_factors(stage)
        key = stage.program, lent, stage.tiling, joint
        if lent not in phases:
            phases[lent] = _phases(program, *lent)
        if key not in found:
            forward, backward = phases[lent]
            found[key] = (
                _peak(forward, stage, "forward", most),
                _peak(backward, stage, "backward", most),
            )
        memory, (forward_bytes, backward_bytes) = stage.memory_per_pe, found[key]
        unused = 0 if stage.backward_first else memory.gradient_bytes
        expected = max(backward_bytes, forward_bytes - unused)
        if memory.workspace_bytes != expected:
            where = f"{stage.id}.memory_per_pe.workspace_bytes"
            yield Finding(where, expected, memory.workspace_bytes)


def _side_bytes(subject: Subject) -> int:
    """One side of a product may take a quarter of a PE's memory; where programs are written out,
    which stream nothing, all of it."""
    capacity = subject.plan.totals.memory_capacity_per_pe_bytes
    constants = {constant.name: constant.value for constant in subject.plan.provenance}
    return capacity // 4 if constants.get("software.triggered", True) else capacity


@once_per_object
def _known_phases(_: StageProgram) -> dict[Lent, _Phases]:
    """Those of a program that were read off, by what it is lent."""
    return {}


def _phases(program: StageProgram, lent: tuple[int, ...], turned: bool) -> _Phases:
    """Inputs that are a weight of the region count as one, with features as it lies."""
    forward = forward_phase(program.forward.graph, len(program.parameters))
    backward = backward_phase(program.backward.graph, program.trainable)
    if lent:
        forward, backward = with_lent(program, forward, backward, lent)
    known = features(forward)
    if turned:
        own = range(len(program.parameters), len(program.parameters) + len(lent))
        known = {n: (b, a) if n in own else (a, b) for n, (a, b) in known.items()}
    return moments(forward, known), moments(backward, known)


def _peak(phase: tuple[OperatorMoment, ...], stage: StageRecord, name: str, most: int) -> int:
    elementwise = {
        operator.operator
        for operator in stage.operators
        if operator.phase == name and operator.family == "elementwise"
    }
    products, joint = (m for m in phase if m.operator in PRODUCTS), _with_factors(stage)
    within = {id(moment) for number, moment in enumerate(products) if (name, number) in joint}
    return max(
        (_held(m, stage, elementwise, most, has_factors=id(m) in within) for m in phase), default=0
    )


def _with_factors(stage: StageRecord) -> frozenset[tuple[str, int]]:
    """Phase, and number among its products, of operators with low-rank factors in their product:
    a graph that was stored may have other names, but has the same order."""
    return frozenset(
        (phase, number)
        for phase in ("forward", "backward")
        for number, operator in enumerate(
            one for one in stage.operators if one.phase == phase and one.operator in PRODUCTS
        )
        for step in operator.steps
        if isinstance(step, ProductStep) and step.rank
    )


def _held(
    moment: OperatorMoment,
    stage: StageRecord,
    elementwise: Collection[str],
    most: int,
    *,
    has_factors: bool,
) -> int:
    tiling, region = stage.tiling, stage.part
    sizes = [
        [dealt(value.elements, tiling, region) * value.item_bytes for value in values]
        for values in (moment.there, moment.made, moment.dying)
    ]
    there, made, dying = sizes
    in_place = min(sum(made), max(dying, default=0)) if moment.operator in elementwise else 0
    product = moment.product
    own = _product_bytes(product, tiling, most, has_factors) if product else 0
    return sum(there) - in_place + own


def _product_bytes(
    product: CheckedProduct, tiling: Tiling, most: int, has_factors: bool = False
) -> int:
    """The larger side that a PE can hold of a product, two vectors, and a factor that must come.
    Outputs beyond its slice, which its inputs reach, are among them.

    It can hold a side that takes `most` bytes or less, and the smaller one in turns.
    Where tiles travel it also takes the next ones of the inputs and of the weights. With low-rank
    factors in the product it has three more vectors, which wait for what the factors add to them.
    """
    into = ceil(product.in_features / tiling.in_split)
    out = ceil(product.out_features / tiling.out_split)
    ends = [
        ceil(positions / tiling.space_split)
        for positions in (product.in_positions, product.out_positions)
    ]
    beyond = min(product.halo, product.out_positions - ends[1])
    sides = [into * ends[0], out * (ends[1] + beyond)]
    shares = [side * product.item_bytes / max(most, 1) for side in sides]
    turns = max(1, min(ceil(min(shares)), max(ends)))
    arriving, leaving = ceil(ends[0] / turns), ceil(ends[1] / turns) + beyond
    parts = zip((into * arriving, out * leaving), shares, strict=True)
    held = max(part for part, share in parts if share <= max(1, min(shares)))
    vectors = 2 + _WAITING * has_factors
    elements = held + vectors * max(arriving, leaving)
    if tiling.algorithm in ("ring", "summa"):
        elements += into * ends[0] + into * out
    return (elements + product.factor * into * out) * product.item_bytes


def with_lent(
    program: StageProgram, forward: Phase, backward: Phase, lent: tuple[int, ...]
) -> tuple[Phase, Phase]:
    """Both phases with these inputs among the weights, numbered after the parameters."""
    own = len(program.parameters)
    first = own + len(program.forward_state)
    nodes = arguments(program.forward.graph)
    numbers = {position: own + k for k, position in enumerate(lent)}
    there = {nodes[first + position]: number for position, number in numbers.items()}
    kept = {v: k for k, v in saved_inputs(program).items()}
    first = own + len(program.backward_state)
    nodes = arguments(program.backward.graph)
    saved = {nodes[first + kept[p]]: n for p, n in numbers.items() if p in kept}
    gradients = dict(backward.gradients)
    for position, number in numbers.items():
        node = gradient_of_input(program, position)
        gradients |= dict.fromkeys(summands(node) if node else (), number)
    return (
        replace(forward, weights=weights_of(forward.graph, {**_own(forward), **there})),
        replace(
            backward,
            weights=weights_of(backward.graph, {**_own(backward), **saved}),
            gradients=gradients,
        ),
    )


def _own(phase: Phase) -> dict[fx.Node, int]:
    return {node: number for node, number in phase.weights.items() if node.op == "placeholder"}
