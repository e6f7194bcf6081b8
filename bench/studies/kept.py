"""Rows of a study on disk, one JSON line each: what is there is not measured again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ...backend.errors import UserError


class Keyed(Protocol):
    """A frozen dataclass of plain values; rows of equal `key` repeat the same measurement."""

    @property
    def key(self) -> tuple[object, ...]: ...


Row = TypeVar("Row", bound=Keyed)


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """The rows of a file; none if there is no file. Raises UserError for other content."""
    if not path.exists():
        return []
    try:
        return [kind(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"records {path}",
            expected="one JSON object per line, as this benchmark writes them with --records",
            got=str(error),
            change="give another path, or remove the file",
        ) from error


def append_row(path: Path, row: Any) -> None:
    """Add a row to the file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(row), allow_nan=False) + "\n")


def missing_rows(
    path: Path,
    kind: type[Row],
    keys: Iterable[tuple[object, ...]],
    measure: Callable[[tuple[object, ...]], Row],
) -> Iterator[Row]:
    """The row of each key, in order; what a former run left in the file is not measured again."""
    known = {row.key: row for row in read_rows(path, kind)}
    path.touch()  # fails now, not after the first run
    for key in keys:
        if key not in known:
            known[key] = measure(key)
            append_row(path, known[key])
        yield known[key]
