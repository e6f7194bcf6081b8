"""What a check rule sees and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ...targets.target import Target
from ..document import PlanDocument
from ..program import StageProgram
from .paces import CheckedTiming, timing_of
from .regions.shared import readers_of, users_of


@dataclass(frozen=True)
class Violation:
    """One broken rule: its name, the place in the plan, and the two values that disagree."""

    rule: str
    where: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True)
class Finding:
    """A violation before the table gives it its rule's name."""

    where: str
    expected: object
    got: object


@dataclass(frozen=True)
class Subject:
    """What is checked: the document and, where they are at hand, its target and its programs."""

    plan: PlanDocument
    target: Target | None
    programs: Mapping[str, StageProgram]

    @cached_property
    def users(self) -> list[set[int]]:
        """Of every stage the positions of those on its region, itself among them."""
        return users_of(self.plan)

    @cached_property
    def readers(self) -> dict[tuple[int, int], list[tuple[int, int]]]:
        """Of every output, given by stage and number, the stages that read it, and as which
        input."""
        return readers_of(self.plan)

    @cached_property
    def timing(self) -> CheckedTiming | None:
        """What could set the plan's pace; None where other rules find fault with its streams."""
        return timing_of(self.plan)


Rule = Callable[[Subject], Iterator[Finding]]
