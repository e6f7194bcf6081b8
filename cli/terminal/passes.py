"""What `weft compile` shows of its passes: the list, what each took, artefacts as text."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from .console import print_table

if TYPE_CHECKING:
    from ...compiler.driver import PassRun

MIB = 2**20


class Watch:
    """Keeps what each pass took and the text of the artefacts asked for.

    Raises UnknownNameError at once for a name that is no pass.
    """

    def __init__(self, print_after: Iterable[str]) -> None:
        from ...backend.errors import UnknownNameError
        from ...compiler.pipeline import PASSES

        self.rows: list[dict[str, Any]] = []
        self.texts: dict[str, str] = {}
        self._wanted = frozenset(print_after)
        for name in sorted(self._wanted - PASSES.keys()):
            raise UnknownNameError("pass", name, PASSES, "weft compile --list-passes")

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


def list_passes(is_asked: bool) -> None:
    """Callback of `--list-passes`: print every pass with its options, and leave."""
    if not is_asked:
        return
    from ...compiler.pipeline import PASSES

    rows = [(name, *_signature(kind), _first_line(kind)) for name, kind in PASSES.items()]
    print_table(("pass", "takes", "gives", "options", "what it does"), rows)
    raise typer.Exit


def _signature(kind: type) -> tuple[str, str, str]:
    """Artefacts in, artefact out, options: as the pass itself declares them."""
    call = inspect.signature(kind.__call__)
    taken = [parameter.annotation for name, parameter in call.parameters.items() if name != "self"]
    options = [field.name for field in dataclasses.fields(kind)]
    return ", ".join(taken), str(call.return_annotation), ", ".join(options) or "none"


def _first_line(kind: type) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def show_passes(watch: Watch) -> None:
    """The artefacts asked for, one after the other."""
    for name, shown in watch.texts.items():
        typer.echo(f"-- after {name}\n{shown}\n")
