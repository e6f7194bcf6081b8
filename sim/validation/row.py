"""One line of a table of measurements."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ...backend.errors import UserError
from ...compiler.targets.target import Target


@dataclass(frozen=True)
class Row:
    """One line of a table: its place, for messages, and its columns as text."""

    where: str
    columns: Mapping[str, str]

    def number(self, column: str, most: float = math.inf) -> float:
        """The number in `column`. Raises UserError if it is absent, negative, not finite or above
        `most`."""
        text = self.columns.get(column, "")
        value = as_number(text)
        if value is None or not 0 <= value <= most or math.isinf(value):
            limit = "zero or more" if math.isinf(most) else f"from 0 to {most:g}"
            raise UserError(
                f"{self.where}, column {column}",
                expected=f"a number, {limit}",
                got=repr(text),
                change="see the columns of the shipped table of the same kernel",
            )
        return value

    def count(self, column: str, most: int | None = None) -> int:
        """The whole number, one or more and `most` at most, in `column`."""
        value = self.number(column)
        if value != int(value) or value < 1 or (most is not None and value > most):
            limit = "one or more" if most is None else f"from 1 to {most:,}"
            raise UserError(
                f"{self.where}, column {column}",
                expected=f"a whole number, {limit}",
                got=self.columns[column],
                change="correct the table",
            )
        return int(value)

    def optional(self, column: str, default: int) -> int:
        """As `count`, or `default` where the table has no such column or an empty cell."""
        return self.count(column) if self.columns.get(column) else default

    def require_memory(self, target: Target, needed_bytes: int) -> None:
        """Raises UserError where the tiles of a PE are larger than its memory."""
        held_bytes = target.sram.bytes_per_pe
        if needed_bytes > held_bytes:
            raise UserError(
                self.where,
                expected=f"tiles of at most {held_bytes:,} B, all memory of a PE of {target.name}",
                got=f"{needed_bytes:,} B",
                change="take smaller tiles, on more PEs",
            )


def as_number(text: str) -> float | None:
    """What a cell says in the digits of a table, no other way that Python reads numbers; None if it
    is no number."""
    try:
        return float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return None
