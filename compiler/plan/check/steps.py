"""The rule about what operators consist of: products with a weight, and sums over PEs."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ..stage_record import OperatorCost, ProductStep, StageRecord, SumStep
from .violation import Finding, Subject

KINDS = ("forward", "input gradient", "weight gradient")


def operator_steps(subject: Subject) -> Iterator[Finding]:
    """An operator's products do its multiply-adds, in no more than its arithmetic, with weights
    that there are; its sums stay inside the region."""
    for stage in subject.plan.stages:
        for operator in stage.operators:
            where = f"{stage.id}.operators.{operator.name}.steps"
            products = [step for step in operator.steps if isinstance(step, ProductStep)]
            yield from _products(where, operator, products)
            for step in operator.steps:
                if isinstance(step, ProductStep):
                    yield from _product(where, step)
                else:
                    yield from _sum(where, stage, step)


def _products(where: str, operator: OperatorCost, steps: list[ProductStep]) -> Iterator[Finding]:
    positions = [min(step.in_positions, step.out_positions) for step in steps]
    sizes = zip(map(_weights, steps), positions, (step.batch for step in steps), strict=True)
    macs = sum(map(prod, sizes))
    if steps and macs != operator.macs_dense:
        yield Finding(where, f"{operator.macs_dense} MACs, as the operator", macs)
    cycles = sum(step.cycles for step in steps)
    if not 0 <= cycles <= operator.compute_cycles + len(steps):
        expected = f"at most {operator.compute_cycles} cycles, as the operator"
        yield Finding(where, expected, cycles)


def _weights(step: ProductStep) -> int:
    return step.in_features * step.out_features * step.taps


def _product(where: str, step: ProductStep) -> Iterator[Finding]:
    if step.kind not in KINDS:
        yield Finding(f"{where}.kind", f"one of {', '.join(KINDS)}", step.kind)
    if not 0 <= step.nonzeros <= _weights(step):
        expected = f"between 0 and {_weights(step)} weights"
        yield Finding(f"{where}.nonzeros", expected, step.nonzeros)
    if not 0 <= step.halo <= step.out_positions * step.taps:
        yield Finding(f"{where}.halo", "positions of the outputs", step.halo)


def _sum(where: str, stage: StageRecord, step: SumStep) -> Iterator[Finding]:
    if min(step.rounds, step.along, step.across, step.spacing) < 1 or step.words < 0:
        yield Finding(where, "one or more of each", step)
    pes = step.along * step.across
    if pes > stage.region.area:
        yield Finding(where, f"at most {stage.region.area} PEs, as the region", pes)
    if step.spacing * (step.across - 1) >= max(stage.region.height, stage.region.width):
        yield Finding(f"{where}.spacing", "lines inside the region", step.spacing)
