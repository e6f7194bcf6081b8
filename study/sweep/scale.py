"""Values along an axis of a picture: numbers, evenly or by their logarithm, or names."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from ...compiler.plan.text.numbers import quantity

_RATIO = 20.0
"""Positive numbers further apart than this are spread by their logarithm."""
_ROOM = 0.08
"""Of an axis, between two values that are both written."""


@dataclass(frozen=True)
class Scale:
    """`low` and `high` lie at 0 and 1; of `names`, the first and the last. `few` are all values, if
    there is room to write each."""

    name: str
    low: float = 0.0
    high: float = 1.0
    is_log: bool = False
    names: tuple[str, ...] = ()
    few: tuple[float, ...] = ()

    def at(self, value: Any) -> float:
        """Where in [0, 1] a value lies."""
        if self.names:
            return (self.names.index(str(value)) + 0.5) / len(self.names)
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Where in [0, 1] something is written, and what: all names, all of a few numbers, or five
        from low to high."""
        if self.names:
            return tuple((self.at(name), name) for name in self.names)
        if self.few:
            return tuple((self.at(value), number_text(value)) for value in self.few)
        shares = (0.0, 0.25, 0.5, 0.75, 1.0)
        return tuple((share, number_text(self._value(share))) for share in shares)

    def _value(self, share: float) -> float:
        if self.is_log:
            return self.low * (self.high / self.low) ** share
        return self.low + share * (self.high - self.low)


def scale_of(name: str, values: Iterable[Any]) -> Scale:
    """The scale of some values, of which there is at least one."""
    found = list(values)
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in found):
        return Scale(name, names=tuple(dict.fromkeys(map(str, found))))
    low, high = min(found), max(found)
    if low == high:
        low, high = (low - abs(low) / 2, high + abs(high) / 2) if low else (-1.0, 1.0)
    plain = Scale(name, float(low), float(high), low > 0 and high / low > _RATIO)
    distinct = sorted(set(found))
    places = [plain.at(value) for value in distinct]
    is_roomy = all(b - a >= _ROOM for a, b in pairwise(places))
    return replace(plain, few=tuple(map(float, distinct))) if is_roomy else plain


def number_text(value: float) -> str:
    """Three digits, or all before the point; with a prefix where the number is large."""
    if abs(value) >= 1e4:
        return quantity(value)
    return f"{value:,.0f}" if abs(value) >= 1e3 else f"{value:.3g}"
