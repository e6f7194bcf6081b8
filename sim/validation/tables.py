"""The tables of measurements: those that come with weft, and a user's own."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ...backend.errors import UnknownNameError, UserError
from .row import Row

_PACKAGE = __name__.rpartition(".")[0]
_FOLDER = "measured"
_FITTED = "fitted_rows.csv"
# Set name -> file, and the kernel of a table that has no such column.
_TABLES: dict[str, tuple[str, str | None]] = {
    "reduce": ("reduce_wse2_sim", None),
    "spmm": ("spmm_wse2", None),
    "spmm_formats": ("spmm_formats_wse2", None),
    "sparse_speedup": ("sparse_speedup_cs2", "sparse_speedup"),
    "gemv": ("gemv_wse3_hw", None),
    "gemv_chain": ("gemv_chain_wse3_hw", None),
    "gemm": ("gemm_wse3_hw", None),
    "fmach": ("fmach_wse3_sim", None),
    "summa": ("summa_wse3_hw", None),
    "shift": ("shift_wse3_hw", None),
    "decode": ("decode_wse3_hw", None),
    "decode_blocks": ("decode_blocks_wse3_hw", None),
    "training": ("training_cs2", "training_run"),
}
USER_SET = "file"
BEYOND = "(beyond the header)"
"""Name of the cells of a row that is longer than the header."""
_AGAIN = " (again)"


@dataclass(frozen=True)
class TableRow:
    """A row of a table, and whether a constant of the target files was fitted on it."""

    set_name: str
    kernel: str
    row: Row
    fitted: bool = False

    @property
    def left_open(self) -> str:
        """What its source leaves open, so that no error of a prediction could be told from an error
        of how it was read; empty if nothing."""
        return self.row.columns.get("open", "")

    def settings(self, measured: tuple[str, ...] = ()) -> str:
        """The columns that say what was run, without those that were `measured`."""
        hidden = {"kernel", "kind", "open", *measured}
        columns = self.row.columns.items()
        return " ".join(f"{key}={value}" for key, value in columns if key not in hidden and value)


def known_sets() -> tuple[str, ...]:
    """Names of the tables that come with weft."""
    return tuple(_TABLES)


def shipped_rows(set_name: str | None = None) -> tuple[TableRow, ...]:
    """The rows of one shipped set, or of all.

    Raises UnknownNameError for a set that does not exist.
    """
    if set_name is not None and set_name not in _TABLES:
        raise UnknownNameError("set of measurements", set_name, _TABLES, "weft validate")
    chosen = _TABLES if set_name is None else (set_name,)
    return tuple(row for name in chosen for row in _shipped(name))


def _shipped(set_name: str) -> Iterable[TableRow]:
    stem, kernel = _TABLES[set_name]
    folder = resources.files(_PACKAGE)
    text = (folder / _FOLDER / f"{stem}.csv").read_text(encoding="utf-8")
    fitted = _fitted_lines((folder / _FITTED).read_text(encoding="utf-8"), stem)
    for line, columns in _parse(text.splitlines()):
        row = Row(f"{stem}.csv, line {line}", columns)
        yield TableRow(set_name, kernel or columns["kernel"], row, line in fitted)


def _fitted_lines(text: str, stem: str) -> set[int]:
    return {int(entry["line"]) for _, entry in _parse(text.splitlines()) if entry["table"] == stem}


def user_rows(path: Path) -> tuple[TableRow, ...]:
    """The rows of a user's CSV: a `kernel` column, and columns as in that kernel's shipped table; a
    row may lack some of them or have others.

    Raises UserError for a file that cannot be read, is empty or lacks the kernel column.
    """
    try:
        parsed = list(_parse(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"measurements {path}",
            expected="a readable CSV file",
            got=str(error),
            change="check the path, the encoding (UTF-8) and the quotes",
        ) from error
    rows = [
        TableRow(USER_SET, columns.get("kernel", ""), Row(f"{path}, line {line}", columns))
        for line, columns in parsed
    ]
    _check_header(path, parsed)
    _check_commas(path, parsed)
    if not any(row.kernel for row in rows):
        raise UserError(
            f"measurements {path}",
            expected="rows with a column 'kernel'",
            got="rows without it" if rows else "no rows",
            change="take the header of the shipped table of the same kernel",
        )
    return tuple(rows)


def _check_header(path: Path, parsed: Sequence[tuple[int, Mapping[str, str]]]) -> None:
    """Raises UserError if two columns have one name."""
    twice = next((name for _, columns in parsed for name in columns if name.endswith(_AGAIN)), None)
    if twice is not None:
        raise UserError(
            f"measurements {path}",
            expected="columns with names of their own",
            got=f"two columns {twice.removesuffix(_AGAIN)!r}",
            change="rename one of them",
        )


def _check_commas(path: Path, parsed: Sequence[tuple[int, Mapping[str, str]]]) -> None:
    """Raises UserError if something else than a comma stands between the cells."""
    header = next((name for _, columns in parsed for name in columns), "")
    for mark, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if mark in header and "kernel" in (part.strip() for part in header.split(mark)):
            raise UserError(
                f"measurements {path}, line 1",
                expected="cells with commas between them, and numbers with decimal points",
                got=f"cells with {name} between them",
                change=f"write commas for {name}, and points for decimal commas",
            )


def _parse(lines: Iterable[str]) -> Iterable[tuple[int, dict[str, str]]]:
    """The lines below the header with their cells by column; cells below no header are `BEYOND`."""
    reader = csv.reader(lines)
    header: list[str] = []
    for name in map(str.strip, next(reader, [])):
        header.append(name + _AGAIN if name and name in header else name)
    for cells in reader:
        columns = {k: v.strip() for k, v in zip(header, cells, strict=False) if k}
        beyond = ",".join(cells[len(header) :])
        if cells:
            yield reader.line_num, columns | ({BEYOND: beyond} if beyond.strip(", ") else {})
