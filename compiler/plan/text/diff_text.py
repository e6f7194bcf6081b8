"""Differences of two plans as text: one line per change, those of one field of many items folded.

A plan repeats its records: a change of the machine changes the same field of every stage. From four
changes of a field on, one line says how many they are and which is the largest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from ....backend.frame import frame
from ....backend.shown import Shown
from .diff import Change

_FOLDED = 4
_ITEM = re.compile(r"\[[^]]*\]")


class Changes(tuple[Change, ...], Shown):
    """The changes between two plans; prints as text."""

    __slots__ = ()

    def __repr__(self) -> str:
        """One line."""
        return f"Changes({_count(self)})" if self else "Changes(the plans are equal)"

    def __str__(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """A line per changed field, and a last one that counts the changes."""
        return diff_text(self)

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row for each change. Raises UserError without pandas."""
        return frame(asdict(change) for change in self)


def diff_text(changes: tuple[Change, ...], *, every: bool = False) -> str:
    """All changes and a last line that counts them; folded unless `every` one has its line."""
    if not changes:
        return "the plans are equal"
    lines = [str(change) for change in changes] if every else [*_folded(changes)]
    hint = "" if len(lines) == len(changes) else "; a line for each: weft diff --all"
    return "\n".join([*lines, f"{_count(changes)}{_of_stages(changes)}{hint}"])


def _count(changes: tuple[Change, ...]) -> str:
    return f"{len(changes):,} {'difference' if len(changes) == 1 else 'differences'}"


def _folded(changes: Iterable[Change]) -> Iterable[str]:
    """A line per field, where its first change stands; few changes of a field have a line each."""
    fields: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        fields.setdefault((change.kind, _ITEM.sub("[*]", change.where)), []).append(change)
    for (kind, field), alike in fields.items():
        if len(alike) < _FOLDED:
            yield from map(str, alike)
        else:
            yield f"{kind} {field}: {len(alike):,} {_extent(alike)}"


def _extent(alike: list[Change]) -> str:
    """Which changes they are: the range of what has a ratio and the largest, or the first."""
    ratios = {i: ratio for i, change in enumerate(alike) if (ratio := change.ratio) is not None}
    if not ratios:
        return f"times, first {alike[0].item}"
    least, most = (f"{bound(ratios.values()) * 100:+.1f}" for bound in (min, max))
    extent = f"{least} %" if least == most else f"{least} to {most} %"
    largest = max(ratios, key=lambda i: abs(ratios[i]))
    return f"times, {extent}, most {alike[largest].item}"


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
