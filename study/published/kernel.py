"""A kernel that was measured somewhere: on which target, which columns, and its prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...compiler.targets.target import Target
from ...sim.validation.row import Row
from .measured import Measured


@dataclass(frozen=True)
class Figure:
    """One predicted number. It is `pinned` if it is the cycles of an operator's record in a plan
    pinned to the measured algorithm, and `chosen` if the mapper, given as many PEs, maps so by
    itself."""

    value: float
    pinned: bool = False
    chosen: bool = False


@dataclass(frozen=True)
class Kernel:
    """Numbers that the machine's mechanisms predict, without a plan.

    `simulate` returns one value per name of `measured`, in the units of the table.
    """

    name: str
    target: str
    measured: tuple[str, ...]
    simulate: Callable[[Target, Row], tuple[float, ...]]

    def figures(self, target: Target, row: Row) -> tuple[Figure, ...]:
        """One per name of `measured`. Raises UserError for a row that cannot be used."""
        return tuple(map(Figure, self.simulate(target, row)))


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

    def figures(self, target: Target, row: Row) -> tuple[Figure, ...]:
        """As of `Kernel`."""
        plans = self.plans(target, row)
        values = [plan.cycles() for plan in plans]
        chosen = plans[-1].is_own_choice()
        return tuple(Figure(value, pinned=True, chosen=chosen) for value in values)


AnyKernel = Kernel | PlanKernel
