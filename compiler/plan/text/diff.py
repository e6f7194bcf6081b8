"""What changed between two plans, field by field; stages are matched by id."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..document import PlanDocument

_IGNORED = ("weft_version", "files")
_KEYS = {
    "stages": ("id",),
    "edges": ("source", "sink"),
    "uses": ("purpose",),
    "operators": ("phase", "name"),
    "fit": ("lever",),
    "parameters": ("name",),
    "state": ("name",),
    "inputs": ("name",),
    "provenance": ("name",),
}


@dataclass(frozen=True)
class Change:
    """One field that differs: changed '~', only after '+', or only before '-'."""

    kind: str
    where: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.kind} {self.where}: {self._values}"

    @property
    def ratio(self) -> float | None:
        """`after` / `before` - 1 of two numbers; None of anything else."""
        numbers = (self.before, self.after)
        if any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
            return None
        return self.after / self.before - 1 if self.before else None

    @property
    def item(self) -> str:
        """The item of a list that it is about, and how it changed: 's01:conv: 8 -> 16'."""
        items = ", ".join(re.findall(r"\[([^]]*)\]", self.where))
        return f"{items}: {self._values}" if self.kind == "~" else items

    @property
    def _values(self) -> str:
        if self.kind != "~":
            return _brief(self.after if self.kind == "+" else self.before)
        changed = f"{_brief(self.before)} -> {_brief(self.after)}"
        return changed if self.ratio is None else f"{changed}  ({self.ratio * 100:+.1f} %)"


def diff(a: PlanDocument, b: PlanDocument) -> tuple[Change, ...]:
    """All differences from `a` to `b`, in the order of the plan's fields.

    File hashes and the weft version are left out: they follow from the rest.
    """
    before, after = ({k: v for k, v in asdict(p).items() if k not in _IGNORED} for p in (a, b))
    return tuple(_compare("", before, after))


def _compare(where: str, a: Any, b: Any) -> Iterator[Change]:
    if isinstance(a, dict) and isinstance(b, dict):
        yield from _mappings(where, a, b)
    elif _is_keyed(where, a, b):
        key = _KEYS[_leaf(where)]
        yield from _mappings(where, _by_key(a, key), _by_key(b, key))
    elif a != b:
        yield Change("~", where, a, b)


def _mappings(where: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Change]:
    for name in (*a, *(name for name in b if name not in a)):
        path = f"{where}[{name}]" if _leaf(where) in _KEYS else f"{where}.{name}".lstrip(".")
        if name not in b:
            yield Change("-", path, a[name], None)
        elif name not in a:
            yield Change("+", path, None, b[name])
        else:
            yield from _compare(path, a[name], b[name])


def _is_keyed(where: str, a: Any, b: Any) -> bool:
    key = _KEYS.get(_leaf(where))
    if key is None or not (isinstance(a, tuple) and isinstance(b, tuple)):
        return False
    both = [*a, *b]
    if not all(isinstance(item, dict) and set(key) <= item.keys() for item in both):
        return False
    return len(_by_key(a, key)) == len(a) and len(_by_key(b, key)) == len(b)


def _by_key(items: Any, key: tuple[str, ...]) -> dict[str, Any]:
    return {" -> ".join(str(item[name]) for name in key): item for item in items}


def _leaf(where: str) -> str:
    return where.rpartition(".")[2]


def _brief(value: Any) -> str:
    if isinstance(value, dict):
        name = value.get("id") or value.get("name") or value.get("operator")
        return str(name) if name else f"{len(value)} fields"
    if isinstance(value, float):
        return f"{value:,.9g}"
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
