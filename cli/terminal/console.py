"""What verbs print: tables, JSON, timed steps."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any

import typer

from ...compiler.plan.text.numbers import table


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on standard output."""
    typer.echo(table(headers, rows))


def print_json(data: Any) -> None:
    """Indented JSON on standard output."""
    typer.echo(json.dumps(data, indent=2))


def print_records(names: Sequence[str], rows: Iterable[Sequence[object]], as_json: bool) -> None:
    """Rows as a table, or as a JSON list of objects with the same names."""
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        print_table(names, rows)


class Steps:
    """Timed steps on standard error: call it with the name of each step as it begins.

    >>> with Steps() as step:
    ...     step("capture")
    """

    def __init__(self) -> None:
        self._name: str | None = None
        self._since = 0.0
        self._live = sys.stderr.isatty()

    def __call__(self, name: str) -> None:
        self._finish()
        self._name, self._since = name, time.perf_counter()
        if self._live:
            typer.echo(f"  {name} ...", err=True, nl=False)

    def __enter__(self) -> Steps:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._finish()
        elif self._live:
            typer.echo("", err=True)

    def _finish(self) -> None:
        if self._name is not None:
            start = "\r" if self._live else ""
            spent = time.perf_counter() - self._since
            typer.echo(f"{start}  {self._name:<20} {spent:6.2f} s", err=True)
        self._name = None
