"""What changed between two plans, field by field; stages are matched by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .document import PlanDocument

_IGNORED = ("weft_version", "files")
_KEYS = {
    "stages": ("id",),
    "edges": ("source", "sink"),
    "operators": ("phase", "name"),
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
        if self.kind == "+":
            return f"+ {self.where}: {_brief(self.after)}"
        if self.kind == "-":
            return f"- {self.where}: {_brief(self.before)}"
        return f"~ {self.where}: {_brief(self.before)} -> {_brief(self.after)}{self._ratio()}"

    def _ratio(self) -> str:
        numbers = (self.before, self.after)
        if any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
            return ""
        return f"  ({(self.after / self.before - 1) * 100:+.1f} %)" if self.before else ""


def diff(a: PlanDocument, b: PlanDocument) -> tuple[Change, ...]:
    """All differences from `a` to `b`, in the order of the plan's fields.

    File hashes and the weft version are left out: they follow from the rest.
    """
    before, after = ({k: v for k, v in asdict(p).items() if k not in _IGNORED} for p in (a, b))
    return tuple(_compare("", before, after))


def diff_text(changes: tuple[Change, ...]) -> str:
    """One line per change, or one line that says there is none."""
    if not changes:
        return "the plans are equal"
    noun = "difference" if len(changes) == 1 else "differences"
    return "\n".join([*map(str, changes), f"{len(changes)} {noun}{_of_stages(changes)}"])


def _of_stages(changes: tuple[Change, ...]) -> str:
    """'; stages: 2 added, 1 changed' in the order + - ~, or nothing."""
    kinds: dict[str, str] = {}
    for change in changes:
        head, _, rest = change.where.partition("stages[")
        if not head and rest:
            stage, _, field = rest.partition("]")
            kinds[stage] = "~" if field else change.kind
    words = {"+": "added", "-": "removed", "~": "changed"}
    counts = {word: list(kinds.values()).count(kind) for kind, word in words.items()}
    named = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"; stages: {named}" if named else ""


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
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
