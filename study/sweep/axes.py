"""What varies: a key of a recipe with its values, from one line of text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, get_origin, get_type_hints

import yaml

from ...backend.errors import UserError
from ...backend.yaml_text import read_yaml
from ...compiler.recipes.keys import parts
from ...compiler.targets.defects import Defects

FORMS = "[a,b,c], LOW:HIGH:STEP, log(LOW:HIGH:COUNT), random(LOW:HIGH) or lograndom(LOW:HIGH)"
_DIGITS = 12
"""Significant decimals of a value of a range: 0.1 + 0.05 is 0.15."""
_MOST_VALUES = 1_000_000
_TWO_NUMBERS = r"[-+.\deE]*\d\.?:[-+.\deE]*\d\.?"


@dataclass(frozen=True)
class Axis:
    """A dotted key of a recipe and its values; or, drawn at random, the interval they lie in."""

    key: str
    values: tuple[Any, ...] = ()
    interval: tuple[float, float] | None = None
    is_log: bool = False

    def at(self, share: float) -> Any:
        """The value at a share in [0, 1) of the axis."""
        if self.interval is None:
            return self.values[int(share * len(self.values))]
        low, high = self.interval
        value = low * (high / low) ** share if self.is_log else low + (high - low) * share
        return _rounded(value)


def parse_axis(text: str) -> Axis:
    """The axis in 'KEY=VALUES'; a single value is an axis of one.

    VALUES is a list, whose entries are the values, or one of `FORMS`. Of keys that take a list, as
    input.shape, a list without lists in it is one value. Raises UserError for anything else.
    """
    key, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not key or not values:
        raise _mistake(text, f"KEY=VALUES with {FORMS}", f"'{text}'")
    for pattern, make in _PATTERNS:
        found = re.fullmatch(pattern, values)
        if found:
            return make(text, key, [_number(text, part) for part in found[1].split(":")])
    if re.fullmatch(_TWO_NUMBERS, values):
        raise _mistake(text, "LOW:HIGH:STEP", f"'{values}'")
    try:
        value = read_yaml(values)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise _mistake(text, FORMS, f"'{values}'") from None
    is_axis = isinstance(value, list) and not (_takes_a_list(key) and _is_flat(value))
    chosen = tuple(value) if is_axis else (value,)
    if not chosen:
        raise _mistake(text, "at least one value", "an empty list")
    return Axis(key, chosen)


@cache
def _keys_of_lists() -> frozenset[str]:
    """Keys of a recipe whose value is a list, and constants of a target that are lists."""
    found = ((part.name, key) for part in parts() for key in part.keys)
    own = {f"{name}.{key.name}" for name, key in found if key.kind.startswith("list of")}
    hints = get_type_hints(Defects).items()
    return frozenset(own | {f"target.defects.{n}" for n, h in hints if get_origin(h) is tuple})


def _takes_a_list(key: str) -> bool:
    return key in _keys_of_lists()


def _is_flat(value: list[Any]) -> bool:
    return bool(value) and not any(isinstance(item, list) for item in value)


def _range(text: str, key: str, bounds: Sequence[float]) -> Axis:
    if len(bounds) != 3 or not bounds[2] or (bounds[1] - bounds[0]) / bounds[2] < 0:
        raise _mistake(text, "LOW:HIGH:STEP with a step that leads from one to the other", text)
    low, high, step = bounds
    count = math.floor((high - low) / step + 1e-9) + 1
    _check_count(text, count)
    return Axis(key, tuple(_rounded(low + number * step) for number in range(count)))


def _log(text: str, key: str, bounds: Sequence[float]) -> Axis:
    if len(bounds) != 3 or min(bounds) <= 0 or bounds[2] != int(bounds[2]):
        raise _mistake(text, "log(LOW:HIGH:COUNT) with positive bounds and a whole count", text)
    low, high, count = bounds[0], bounds[1], int(bounds[2])
    _check_count(text, count)
    shares = [number / max(count - 1, 1) for number in range(count)]
    return Axis(key, tuple(_rounded(low * (high / low) ** share) for share in shares))


def _random(text: str, key: str, bounds: Sequence[float]) -> Axis:
    if len(bounds) != 2 or bounds[0] >= bounds[1]:
        raise _mistake(text, "random(LOW:HIGH) with LOW below HIGH", text)
    return Axis(key, interval=(bounds[0], bounds[1]))


def _lograndom(text: str, key: str, bounds: Sequence[float]) -> Axis:
    if len(bounds) != 2 or not 0 < bounds[0] < bounds[1]:
        raise _mistake(text, "lograndom(LOW:HIGH) with 0 < LOW < HIGH", text)
    return Axis(key, interval=(bounds[0], bounds[1]), is_log=True)


_PATTERNS: tuple[tuple[str, Callable[[str, str, Sequence[float]], Axis]], ...] = (
    (r"log\((.*)\)", _log),
    (r"random\((.*)\)", _random),
    (r"lograndom\((.*)\)", _lograndom),
    (r"([^\[\]{}'\"/\\a-df-zA-DF-Z]*:[^\[\]{}'\"/\\a-df-zA-DF-Z]*:[^:\[\]{}'\"/\\]*)", _range),
)


def _number(text: str, part: str) -> float:
    try:
        value = float(part)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _mistake(text, "numbers with colons between", f"'{part}'")
    return value


def _rounded(value: float) -> float | int:
    """With 12 significant digits; a whole number as one."""
    near = float(f"{value:.{_DIGITS}g}")
    return int(near) if near == int(near) and abs(near) < 2**53 else near


def _check_count(text: str, count: float) -> None:
    if not 1 <= count <= _MOST_VALUES:
        raise _mistake(text, f"1 to {_MOST_VALUES:,} values", f"{count:,}")


def _mistake(text: str, expected: str, got: str) -> UserError:
    return UserError(
        f"--set {text}", expected=expected, got=got, change='as in "sparsity=0:0.95:0.05"'
    )
