"""Weights that an update rule predicts, added up only where something else than a product wants it.

A row times W + c D is the row times W plus c times the row times D: that reads two arrays, where
the sum is written and read as well. With many rows the second product would cost more than that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ....backend.optim.rule import Lookahead

Array = Any


@dataclass(frozen=True)
class Predicted:
    """The weights plus a scalar times a direction."""

    weight: Array
    ahead: Lookahead

    @cached_property
    def array(self) -> Array:
        """The sum."""
        return self.weight + self.ahead.factor * self.ahead.direction

    def times(self, product: Callable[[Array], Array]) -> Array:
        """The sum of a linear function's values."""
        return product(self.weight) + self.ahead.factor * product(self.ahead.direction)


def added_up(value: Any) -> Any:
    """The array of predicted weights; anything else as it is."""
    return value.array if isinstance(value, Predicted) else value
