"""Rules about what operators consist of: products with a weight, whose rows may be dealt out to
experts, and sums over PEs."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, isclose, prod
from typing import Any

from torch import fx

from ..program import StageProgram
from ..routed import Routed
from ..stage_record import OperatorCost, ProductStep, StageRecord, SumStep
from .violation import Finding, Subject

_ROUTED, _ROUTED_WEIGHT = "weft.routed_mm.default", "weft.routed_mm_weight.default"
_SAME = 1e-6
_SENT = ("both", "none")
KINDS = ("forward", "input gradient", "weight gradient")


def operator_steps(subject: Subject) -> Iterator[Finding]:
    """An operator's products do its multiply-adds, in no more than its arithmetic, with weights
    that there are; its sums stay inside the region."""
    for stage in subject.plan.stages:
        for operator in stage.operators:
            where = f"{stage.id}.operators.{operator.name}.steps"
            products = [step for step in operator.steps if isinstance(step, ProductStep)]
            if not any(isinstance(step, Routed) for step in operator.steps):
                yield from _products(where, operator, products)
            yield from _within(where, operator, products)
            for step in operator.steps:
                if isinstance(step, ProductStep):
                    yield from _product(where, step)
                elif isinstance(step, SumStep):
                    yield from _sum(where, stage, step)


def _products(where: str, operator: OperatorCost, steps: list[ProductStep]) -> Iterator[Finding]:
    positions = [min(step.in_positions, step.out_positions) for step in steps]
    sizes = zip(map(_weights, steps), positions, (step.batch for step in steps), strict=True)
    macs = sum(map(prod, sizes))
    if steps and macs != operator.macs_dense:
        yield Finding(where, f"{operator.macs_dense} MACs, as the operator", macs)


def _within(where: str, operator: OperatorCost, steps: list[ProductStep]) -> Iterator[Finding]:
    cycles = sum(step.cycles for step in steps)
    if not 0 <= cycles <= operator.compute_cycles + len(steps):
        expected = f"at most {operator.compute_cycles} cycles, as the operator"
        yield Finding(where, expected, cycles)


def _weights(step: ProductStep) -> int:
    return step.in_features * step.out_features * step.taps


def _product(where: str, step: ProductStep) -> Iterator[Finding]:
    if step.kind not in KINDS:
        yield Finding(f"{where}.kind", f"one of {', '.join(KINDS)}", step.kind)
    most = _weights(step) + step.rank * (step.in_features + step.out_features)
    if not 0 <= step.nonzeros <= most:
        expected = f"between 0 and {most} weights"
        yield Finding(f"{where}.nonzeros", expected, step.nonzeros)
    if not 0 <= step.halo <= step.out_positions * step.taps:
        yield Finding(f"{where}.halo", "positions of the outputs", step.halo)
    if step.sent not in _SENT[: 2 if step.kind == "weight gradient" else 1]:
        yield Finding(f"{where}.sent", " or ".join(_SENT), step.sent)


def _sum(where: str, stage: StageRecord, step: SumStep) -> Iterator[Finding]:
    if min(step.rounds, step.along, step.across, step.spacing) < 1 or step.words < 0:
        yield Finding(where, "one or more of each", step)
    pes = step.along * step.across
    if pes > stage.part.area:
        yield Finding(where, f"at most {stage.part.area} PEs, as the region", pes)
    if step.spacing * (step.across - 1) >= max(stage.part.height, stage.part.width):
        yield Finding(f"{where}.spacing", "lines inside the region", step.spacing)


def routed_loads(subject: Subject) -> Iterator[Finding]:
    """Experts, rows, rows of a token and the most that an expert takes are the program's. Experts
    take no more than that, and all rows but what is over it. The product is timed for the expert
    that takes the most, and does the multiply-adds of the rows that are taken."""
    for stage in subject.plan.stages:
        nodes = _nodes(subject.programs.get(stage.program))
        for operator in stage.operators:
            where = f"{stage.id}.operators.{operator.name}.steps"
            loads = [step for step in operator.steps if isinstance(step, Routed)]
            is_routed = operator.operator in (_ROUTED, _ROUTED_WEIGHT)
            node = next(nodes.get(operator.phase, iter(())), None) if is_routed else None
            if node is not None and len(loads) != 1:
                yield Finding(where, "one entry of how rows are dealt out", len(loads))
            for load in loads:
                yield from _sound(where, load)
                yield from _like_program(where, load, node)
                yield from _priced(where, stage, operator, load)


def _nodes(program: StageProgram | None) -> dict[str, Iterator[fx.Node]]:
    """Routed products of both phases in order: a graph that was stored may have other names."""
    if program is None:
        return {}
    phases = {"forward": program.forward.graph.nodes, "backward": program.backward.graph.nodes}
    return {
        phase: iter([node for node in nodes if str(node.target) in (_ROUTED, _ROUTED_WEIGHT)])
        for phase, nodes in phases.items()
    }


def _sound(where: str, load: Routed) -> Iterator[Finding]:
    if len(load.histogram) != load.experts:
        yield Finding(f"{where}.histogram", f"{load.experts} experts", len(load.histogram))
    most, taken = load.capacity * (1 + _SAME), sum(load.histogram)
    for rows in load.histogram:
        if not 0 <= rows <= most:
            yield Finding(f"{where}.histogram", f"at most {load.capacity} rows an expert", rows)
    is_full = any(rows >= load.capacity * (1 - _SAME) for rows in load.histogram)
    if taken > load.rows * (1 + _SAME) or (
        not is_full and not isclose(taken, load.rows, rel_tol=_SAME)
    ):
        yield Finding(f"{where}.histogram", f"{load.rows} rows in all", taken)


def _like_program(where: str, load: Routed, node: fx.Node | None) -> Iterator[Finding]:
    if node is None:
        return
    arguments: Any = node.args
    is_product = str(node.target) == _ROUTED
    experts = arguments[1].meta["val"].shape[0] if is_product else arguments[3]
    rows = arguments[0].meta["val"].shape[0]
    expected = (int(experts), int(rows), *map(int, arguments[-2:]))
    got = load.experts, load.rows, load.top_k, load.capacity
    if got != expected:
        yield Finding(where, "experts {}, rows {}, top_k {}, capacity {}".format(*expected), got)


def _priced(
    where: str, stage: StageRecord, operator: OperatorCost, load: Routed
) -> Iterator[Finding]:
    products = [step for step in operator.steps if isinstance(step, ProductStep)]
    if len(products) != 1:
        yield Finding(where, "one product", len(products))
        return
    (step,) = products
    fullest = ceil(max(load.histogram, default=0.0) - _SAME)
    given = step.batch, step.in_positions, step.out_positions
    if given != (load.experts, fullest, fullest):
        expected = f"{load.experts} products of {fullest} rows, those of the fullest expert"
        yield Finding(where, expected, given)
    macs = step.in_features * step.out_features * sum(load.histogram)
    if abs(operator.macs_dense - macs) > max(1.0, _SAME * macs):
        yield Finding(f"{where}: macs_dense", round(macs), operator.macs_dense)
    beside = min(load.experts, stage.tiling.in_split)
    if stage.tiling.in_split % beside or load.experts % beside:
        expected = f"rows of PEs that {load.experts} experts share evenly"
        yield Finding(f"{stage.id}.tiling.in_split", expected, stage.tiling.in_split)


def low_rank_factors(subject: Subject) -> Iterator[Finding]:
    """A product has low-rank factors in it where the phase has their products, with no cycles of
    their own: one with as many inputs and one with as many outputs, of trained parameters."""
    for stage in subject.plan.stages:
        program = subject.programs.get(stage.program)
        if program is None:
            continue
        for operator in stage.operators:
            for step in operator.steps:
                if isinstance(step, ProductStep) and step.rank:
                    yield from _factors(stage, program, operator, step)


def _factors(
    stage: StageRecord, program: StageProgram, operator: OperatorCost, step: ProductStep
) -> Iterator[Finding]:
    where = f"{stage.id}.operators.{operator.name}.steps.rank"
    positions = min(step.in_positions, step.out_positions)
    within = [
        other.macs_dense
        for other in stage.operators
        if other.phase == operator.phase and other.macs_dense
        if not other.steps and other.compute_cycles + other.network_cycles == 0
    ]
    needed = [step.rank * n * positions for n in (step.in_features, step.out_features)]
    if missing := [macs for macs in needed if macs not in within]:
        expected = f"products of {needed[0]} and {needed[1]} MACs within this one"
        yield Finding(where, expected, f"none of {missing[0]}")
    shapes = [
        tuple(sorted(spec.shape))
        for spec, trains in zip(program.parameters, program.trainable, strict=True)
        if trains
    ]
    for features in (step.in_features, step.out_features):
        if tuple(sorted((step.rank, features))) not in shapes:
            expected = f"a trained parameter of {step.rank} x {features}"
            yield Finding(where, expected, step.rank)
