"""The Pareto front: points that no other beats in one objective without losing in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ...backend.errors import UnknownNameError, UserError
from .outcome import Simulated

_NOT_RANKED = ("bound_by", "error_bars", "assumed")
NUMBERS = tuple(field.name for field in fields(Simulated) if field.name not in _NOT_RANKED)


@dataclass(frozen=True)
class Objective:
    """A figure and whether more of it is better."""

    name: str
    is_maximised: bool


def parse_objective(text: str) -> Objective:
    """'NAME:max' or 'NAME:min'. Raises UnknownNameError for a figure that points do not have."""
    name, _, direction = text.partition(":")
    if name not in NUMBERS:
        raise UnknownNameError("figure", name, NUMBERS, "weft sweep --help")
    if direction not in ("max", "min"):
        raise UserError(
            f"objective {text}", expected="NAME:max or NAME:min", got=text, change=f"{name}:max"
        )
    return Objective(name, direction == "max")


def pareto_front(
    lines: Sequence[dict[str, Any]], objectives: Sequence[Objective]
) -> list[dict[str, Any]]:
    """The lines that fit and that no other dominates, best in the first objective first. Lines of
    which an objective rests on assumed constants alone are not ranked."""
    fitting = [line for line in lines if line["fits"] and not assumed_of(line, objectives)]
    if not fitting:
        return []
    signs = np.array([-1.0 if objective.is_maximised else 1.0 for objective in objectives])
    costs = np.array([[line[one.name] for one in objectives] for line in fitting]) * signs
    order = np.lexsort(costs.T[::-1])
    front: list[int] = []
    for index in order:
        others = costs[front]
        is_beaten = np.any(
            np.all(others <= costs[index], axis=1) & np.any(others < costs[index], axis=1)
        )
        if not is_beaten:
            front.append(int(index))
    return [fitting[index] for index in front]


def assumed_of(line: Mapping[str, Any], objectives: Sequence[Objective]) -> list[str]:
    """The objectives whose figure in the line rests on assumed constants alone."""
    assumed = line.get("assumed", ())
    return [objective.name for objective in objectives if objective.name in assumed]
