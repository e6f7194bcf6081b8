"""What benchmarks that keep their rows have in common: options, and rows told as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ...terminal.console import print_json, print_table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RecordsOption = Annotated[
    Path, typer.Option(help="Runs are added here, and those it holds are not repeated.")
]
WriteOption = Annotated[Path | None, typer.Option(help="Write the table here, as a Markdown file.")]
Kept = TypeVar("Kept", bound="DataclassInstance")


def collected(
    rows: Iterable[Kept],
    said: Callable[[Kept], str],
    write: Path | None = None,
    page: Callable[[list[Kept]], str] | None = None,
) -> list[Kept]:
    """All rows; each is `said` on standard error as it comes, and `write` holds the `page` of those
    that there are."""
    found: list[Kept] = []
    for row in rows:
        found.append(row)
        typer.echo(f"  {said(row)}", err=True)
        if write is not None and page is not None:
            write.write_text(page(found), encoding="utf-8")
    return found


def print_rows(
    rows: Sequence[Kept],
    heading: str,
    table: Callable[[list[Kept]], tuple[list[str], list[list[str]]]],
    as_json: bool,
) -> None:
    """The rows as JSON, or their table below a heading."""
    if as_json:
        print_json({"rows": list(map(asdict, rows))})
        return
    typer.echo(f"{heading}\n")
    print_table(*table(list(rows)))
