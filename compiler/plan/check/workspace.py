"""The rule about what a phase makes and uses up: the largest of all moments of both phases."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import ceil

from ..program import StageProgram
from ..stage_record import StageRecord, Tiling
from .dealt import dealt
from .timeline import Moment, Product, backward_phase, features, forward_phase, moments
from .violation import Finding, Subject

_Phases = tuple[tuple[Moment, ...], tuple[Moment, ...]]


def workspace(subject: Subject) -> Iterator[Finding]:
    """Forward and backward take turns: the backward's workspace, or what the forward's exceeds the
    gradient's memory by, whichever is larger."""
    phases = {key: _phases(program) for key, program in subject.programs.items()}
    most = _side_bytes(subject)
    found: dict[tuple[str, Tiling], tuple[int, int]] = {}
    for stage in subject.plan.stages:
        if stage.program not in phases:
            continue
        key = stage.program, stage.tiling
        if key not in found:
            forward, backward = phases[stage.program]
            found[key] = (
                _peak(forward, stage, "forward", most),
                _peak(backward, stage, "backward", most),
            )
        memory, (forward_bytes, backward_bytes) = stage.memory_per_pe, found[key]
        expected = max(backward_bytes, forward_bytes - memory.gradient_bytes)
        if memory.workspace_bytes != expected:
            where = f"{stage.id}.memory_per_pe.workspace_bytes"
            yield Finding(where, expected, memory.workspace_bytes)


def _side_bytes(subject: Subject) -> int:
    """One side of a product may take a quarter of a PE's memory; where programs are written out,
    which stream nothing, all of it."""
    capacity = subject.plan.totals.memory_capacity_per_pe_bytes
    constants = {constant.name: constant.value for constant in subject.plan.provenance}
    return capacity // 4 if constants.get("software.triggered", True) else capacity


def _phases(program: StageProgram) -> _Phases:
    forward = forward_phase(program.forward.graph, len(program.parameters))
    backward = backward_phase(program.backward.graph, program.trainable)
    known = features(forward)
    return moments(forward, known), moments(backward, known)


def _peak(phase: tuple[Moment, ...], stage: StageRecord, name: str, most: int) -> int:
    elementwise = {
        operator.operator
        for operator in stage.operators
        if operator.phase == name and operator.family == "elementwise"
    }
    return max((_held(moment, stage, elementwise, most) for moment in phase), default=0)


def _held(moment: Moment, stage: StageRecord, elementwise: Collection[str], most: int) -> int:
    tiling, region = stage.tiling, stage.region
    sizes = [
        [dealt(value.elements, tiling, region) * value.item_bytes for value in values]
        for values in (moment.there, moment.made, moment.dying)
    ]
    there, made, dying = sizes
    in_place = min(sum(made), max(dying, default=0)) if moment.operator in elementwise else 0
    product = moment.product
    return sum(there) - in_place + (_product_bytes(product, tiling, most) if product else 0)


def _product_bytes(product: Product, tiling: Tiling, most: int) -> int:
    """The larger side that a PE can hold of a product, two vectors, and a factor that must come.
    Outputs beyond its slice, which its inputs reach, are among them.

    It can hold a side that takes `most` bytes or less, and the smaller one in turns.
    Where tiles travel it also takes the next ones of the inputs and of the weights.
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
    elements = held + 2 * max(arriving, leaving)
    if tiling.algorithm in ("ring", "summa"):
        elements += into * ends[0] + into * out
    return (elements + product.factor * into * out) * product.item_bytes
