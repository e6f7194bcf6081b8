"""A kernel that was measured somewhere: on which target, which columns, and its prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ...compiler.plan.evidence.mechanisms import Mix
from ...compiler.targets.target import Target
from ...sim.validation.row import Row
from .measured import Measured, cycles_of


@dataclass(frozen=True)
class Prediction:
    """One predicted number, and what it is made of. It is `pinned` if it is the cycles of an
    operator's record in a plan pinned to the measured algorithm, and `chosen` if the mapper, given
    as many PEs, maps so by itself."""

    value: float
    terms: Mix = field(default_factory=dict)
    pinned: bool = False
    chosen: bool = False


@dataclass(frozen=True)
class PublishedKernel:
    """Numbers that the machine's mechanisms predict, without a plan.

    `simulate` returns one value per name of `measured`, in the units of the table; `mixes` what
    each of them is made of.
    """

    name: str
    target: str
    measured: tuple[str, ...]
    simulate: Callable[[Target, Row], tuple[float, ...]]
    mixes: Callable[[tuple[float, ...]], tuple[Mix, ...]]

    def figures(self, target: Target, row: Row) -> tuple[Prediction, ...]:
        """One per name of `measured`. Raises UserError for a row that cannot be used."""
        values = self.simulate(target, row)
        return tuple(map(Prediction, values, self.mixes(values)))


@dataclass(frozen=True)
class PlanKernel:
    """Numbers that are read off plans: `plans` returns a plan per name of `measured`, the last of
    them under the conditions of the measurement, which the mapper chooses under."""

    name: str
    target: str
    measured: tuple[str, ...]
    plans: Callable[[Target, Row], tuple[Measured, ...]]

    def simulate(self, target: Target, row: Row) -> tuple[float, ...]:
        """The figures' values, from the prices of the plans' operators alone."""
        return tuple(plan.price() for plan in self.plans(target, row))

    def figures(self, target: Target, row: Row) -> tuple[Prediction, ...]:
        """As of `PublishedKernel`."""
        plans = self.plans(target, row)
        measured = [plan.operators() for plan in plans]
        chosen = plans[-1].is_own_choice()
        return tuple(
            Prediction(cycles_of(operators), plan.mix(operators), pinned=True, chosen=chosen)
            for plan, operators in zip(plans, measured, strict=True)
        )


def made_of(mechanism: str) -> Callable[[tuple[float, ...]], tuple[Mix, ...]]:
    """Every number is made of one mechanism."""
    return lambda values: ({mechanism: 1.0},) * len(values)


AnyKernel = PublishedKernel | PlanKernel
