"""Which elements of a model input look something up, and in how many rows.

x of shape (1, 2): emb_a(x[:, 0]) of 10 rows      ->      element 0, 10 rows
                   table[x[:, 1]] of 99 rows              element 1, 99 rows or from the end
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, fx

from ...compiler.plan.program import HOST, Source, Stages
from ...compiler.plan.program_graph import packet_name

_MOVES = frozenset(
    f"aten.{name}"
    for name in (
        *("expand", "flatten", "permute", "reshape", "select", "slice", "squeeze", "t"),
        *("transpose", "unsqueeze", "view", "_unsafe_view"),
    )
)
"""Operators that take numbers and leave them as they are."""
_CASTS = frozenset({"aten._to_copy", "aten.alias", "aten.clone", "aten.detach"})
KEEPS_NUMBERS = _MOVES | _CASTS
"""Operators whose results are some of the numbers that they take, as they are."""


@dataclass(frozen=True, eq=False)
class LookUp:
    """Elements of a sample, by number in row-major order, that must be below `rows`, and not
    negative unless such are counted from the end."""

    elements: np.ndarray
    rows: int
    is_from_end: bool = False

    @property
    def least(self) -> int:
        """The least number there is a row for."""
        return -self.rows if self.is_from_end else 0


def look_ups(stages: Stages, number: int) -> tuple[LookUp, ...]:
    """All of a model input by its number."""
    spec = stages.model_inputs[number]
    numbers = torch.arange(spec.elements).reshape(spec.shape)
    return tuple(found for place in places(stages, number) for found in _uses(place, numbers))


def places(stages: Stages, number: int) -> Iterator[fx.Node]:
    """Where stages read a model input."""
    for stage in stages.stages:
        places = stage.program.forward.graph.find_nodes(op="placeholder")
        first = len(stage.parameters) + len(stage.forward_state)
        for place, source in zip(places[first:], stage.inputs, strict=True):
            if source == Source(HOST, number):
                yield place


def _uses(value: fx.Node, numbers: Tensor) -> Iterator[LookUp]:
    """What is looked up by a value that has the elements of these `numbers`."""
    for user in value.users:
        name = packet_name(user)
        if name in _CASTS:
            yield from _uses(user, numbers)
        elif name in _MOVES and user.all_input_nodes == [value]:
            moved = user.target(numbers, *user.args[1:], **user.kwargs)  # type: ignore[operator]
            yield from _uses(user, moved)
        else:
            elements = numbers.flatten().numpy()
            for rows, is_from_end in _rows(user, name, value):
                yield LookUp(elements, rows, is_from_end)


def _rows(user: fx.Node, name: str, value: fx.Node) -> Iterator[tuple[int, bool]]:
    """Of what an operator looks `value` up in: rows, and whether it takes negative numbers."""
    shape = list(getattr(user.all_input_nodes[0].meta.get("val"), "shape", ()))
    if name == "aten.embedding" and user.args[1] is value:
        yield shape[0], False
    elif name in ("aten.gather", "aten.index_select") and user.args[2] is value:
        yield shape[user.args[1]], False  # type: ignore[index]
    elif name == "aten.index":
        for axis, index in enumerate(user.args[1]):  # type: ignore[arg-type]
            if index is value:
                yield shape[axis], True
