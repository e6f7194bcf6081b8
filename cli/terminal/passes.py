"""What `weft compile` shows of its passes: what each took, artefacts as text."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ...compiler.driver import PassRun

MIB = 2**20


class Watch:
    """Keeps what each pass took and the text of the artefacts asked for."""

    def __init__(self, print_after: Iterable[str]) -> None:
        self.rows: list[dict[str, Any]] = []
        self.texts: dict[str, str] = {}
        self._wanted = frozenset(print_after)

    def __call__(self, run: PassRun) -> None:
        """Take note of a pass that ended."""
        from ...compiler.artefacts import text

        row = {field.name: getattr(run, field.name) for field in dataclasses.fields(run)}
        row["artefact"] = type(run.artefact).__name__
        self.rows.append(row)
        if run.name in self._wanted:
            self.texts[run.name] = text(run.artefact)

    def table(self) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
        """Columns and rows of what each pass took."""
        columns = ("pass", "gives", "seconds", "grown MiB", "peak MiB")
        return columns, [
            (
                *(row["name"], row["artefact"], f"{row['seconds']:.2f}"),
                f"{row['resident_bytes'] / MIB:.0f}",
                f"{row['peak_bytes'] / MIB:.0f}",
            )
            for row in self.rows
        ]


def show_passes(watch: Watch) -> None:
    """The artefacts asked for, one after the other."""
    for name, shown in watch.texts.items():
        typer.echo(f"-- after {name}\n{shown}\n")
