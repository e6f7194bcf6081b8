"""The rule about what a phase makes and uses up: the largest of all moments of both phases."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import ceil

from ...program import StageProgram
from ..document import StageRecord, Tiling
from .timeline import Moment, Product, backward_phase, features, forward_phase, moments
from .violation import Finding, Subject

_Phases = tuple[tuple[Moment, ...], tuple[Moment, ...]]


def workspace(subject: Subject) -> Iterator[Finding]:
    """Forward and backward take turns: the backward's workspace, or what the forward's exceeds the
    gradient's memory by, whichever is larger."""
    phases = {key: _phases(program) for key, program in subject.programs.items()}
    found: dict[tuple[str, Tiling], tuple[int, int]] = {}
    for stage in subject.plan.stages:
        if stage.program not in phases:
            continue
        key = stage.program, stage.tiling
        if key not in found:
            forward, backward = phases[stage.program]
            found[key] = _peak(forward, stage, "forward"), _peak(backward, stage, "backward")
        memory, (forward_bytes, backward_bytes) = stage.memory_per_pe, found[key]
        expected = max(backward_bytes, forward_bytes - memory.gradient_bytes)
        if memory.workspace_bytes != expected:
            where = f"{stage.id}.memory_per_pe.workspace_bytes"
            yield Finding(where, expected, memory.workspace_bytes)


def _phases(program: StageProgram) -> _Phases:
    forward = forward_phase(program.forward.graph, len(program.parameters))
    backward = backward_phase(program.backward.graph, program.trainable)
    known = features(forward)
    return moments(forward, known), moments(backward, known)


def _peak(phase: tuple[Moment, ...], stage: StageRecord, name: str) -> int:
    elementwise = {
        operator.operator
        for operator in stage.operators
        if operator.phase == name and operator.family == "elementwise"
    }
    return max((_held(moment, stage.tiling, elementwise) for moment in phase), default=0)


def _held(moment: Moment, tiling: Tiling, elementwise: Collection[str]) -> int:
    sizes = [
        [_share(value.elements, tiling) * value.item_bytes for value in values]
        for values in (moment.there, moment.made, moment.dying)
    ]
    there, made, dying = sizes
    in_place = min(sum(made), max(dying, default=0)) if moment.operator in elementwise else 0
    return sum(there) - in_place + (_product_bytes(moment.product, tiling) if moment.product else 0)


def _product_bytes(product: Product, tiling: Tiling) -> int:
    """The larger side of a PE's part of a product, two vectors, and a factor that must come."""
    into, out = (
        ceil(product.in_features / tiling.in_split),
        ceil(product.out_features / tiling.out_split),
    )
    arriving, leaving = (
        ceil(positions / tiling.space_split)
        for positions in (product.in_positions, product.out_positions)
    )
    elements = max(into * arriving, out * leaving) + 2 * max(arriving, leaving)
    return (elements + product.factor * into * out) * product.item_bytes


def _share(elements: int, tiling: Tiling) -> int:
    return ceil(ceil(elements / tiling.height) / tiling.width)
