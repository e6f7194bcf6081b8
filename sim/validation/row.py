"""One line of a table of measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...backend.errors import UserError
from ...compiler.targets.target import Target


@dataclass(frozen=True)
class Row:
    """One line of a table: its place, for messages, and its columns as text."""

    where: str
    columns: Mapping[str, str]

    def number(self, column: str) -> float:
        """The number in `column`. Raises UserError if it is absent or no positive number."""
        text = self.columns.get(column, "")
        try:
            value = float(text)
        except (TypeError, ValueError):
            value = float("nan")
        if not value >= 0:
            raise UserError(
                f"{self.where}, column {column}",
                expected="a number, zero or more",
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
