"""Flat records as text: lists of them as tables, single ones as a line `name=cell name=cell`.

A table is a line of field names, then a line for each record. A cell is JSON without spaces outside
of quotes; a text that has neither spaces nor quotes goes without quotes in a field that holds
nothing but texts. Columns are padded to be read, not to be parsed.
"""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from ..codec import DataError

_BARE = re.compile(r"[!#-\[\]-~]+")
"""Printable ASCII without space, quote and backslash."""
_CELL = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^\s"])+|"')


_ON_ONE_LINE = 8
"""Fields of the largest record that is written as a line."""


class Table(str):
    """The text of a table; plan.yaml holds it as a block of lines."""


def fold(kind: type, data: dict[str, Any]) -> dict[str, Any]:
    """The plain data of a record of `kind` with all flat records in it as text."""
    folded = dict(data)
    for name, record in _line_kinds(kind).items():
        folded[name] = _line(record, data[name])
    for name, row in _row_kinds(kind).items():
        folded[name] = (
            table(row, data[name]) if _is_flat(row) else [fold(row, item) for item in data[name]]
        )
    return folded


def unfold(kind: type, data: Any, path: str) -> Any:
    """Undoes `fold`. Raises DataError with the path of a text that cannot be read."""
    if not isinstance(data, dict):
        return data
    unfolded = dict(data)
    for name, record in _line_kinds(kind).items():
        if name in data:
            unfolded[name] = _record(record, data[name], f"{path}.{name}")
    for name, row in _row_kinds(kind).items():
        where = f"{path}.{name}"
        if name not in data:
            continue
        if _is_flat(row):
            unfolded[name] = records(row, data[name], where)
        elif isinstance(data[name], list):
            items = enumerate(data[name])
            unfolded[name] = [unfold(row, item, f"{where}[{i}]") for i, item in items]
    return unfolded


_hints = lru_cache(maxsize=64)(typing.get_type_hints)


@lru_cache(maxsize=64)
def _line_kinds(kind: type) -> dict[str, type]:
    """Fields of `kind` that are one record each, flat and small, with its type."""
    return {
        name: hint
        for name, hint in _hints(kind).items()
        if dataclasses.is_dataclass(hint)
        and isinstance(hint, type)
        and _is_flat(hint)
        and len(dataclasses.fields(hint)) <= _ON_ONE_LINE
    }


@lru_cache(maxsize=64)
def _row_kinds(kind: type) -> dict[str, type]:
    """Fields of `kind` that are lists of records, with the type of the records."""
    found = {}
    for name, hint in _hints(kind).items():
        arguments = typing.get_args(hint)
        if typing.get_origin(hint) is tuple and dataclasses.is_dataclass(arguments[0]):
            found[name] = arguments[0]
    return found


@lru_cache(maxsize=64)
def _is_flat(kind: type) -> bool:
    own = [hint for name, hint in _hints(kind).items() if name not in _by_id(kind)]
    return not _row_kinds(kind) and not any(map(dataclasses.is_dataclass, own))


@lru_cache(maxsize=64)
def _texts(kind: type) -> frozenset[str]:
    """Fields that hold nothing but texts."""
    texts = {name for name, hint in _hints(kind).items() if hint is str}
    return frozenset(texts | _by_id(kind))


@lru_cache(maxsize=64)
def _by_id(kind: type) -> frozenset[str]:
    """Fields that hold a record in memory and its id as text."""
    return frozenset(field.name for field in dataclasses.fields(kind) if "by" in field.metadata)


def table(kind: type, rows: Sequence[dict[str, Any]]) -> Table:
    """Records of `kind`, given as plain data, as a table."""
    names = [field.name for field in dataclasses.fields(kind)]
    texts = _texts(kind)
    columns = [[name, *(_cell(r[name], name in texts) for r in rows)] for name in names]
    widths = [max(map(len, column)) for column in columns]
    sides = ["<" if name in texts else ">" for name in names]
    line = "  ".join(f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True))
    lines: Iterable[tuple[str, ...]] = zip(*columns, strict=True)
    return Table("\n".join(line.format(*row).rstrip() for row in lines) + "\n")


def _cell(value: Any, is_text: bool) -> str:
    if is_text and _BARE.fullmatch(value):
        return value
    return json.dumps(value, separators=(",", ":"))


def _line(kind: type, data: dict[str, Any]) -> str:
    texts = _texts(kind)
    return " ".join(f"{name}={_cell(value, name in texts)}" for name, value in data.items())


def _record(kind: type, text: Any, path: str) -> dict[str, Any]:
    if not isinstance(text, str):
        raise DataError(f"{path}: expected a line name=value, got {type(text).__name__}")
    pairs = [cell.partition("=") for cell in _cells(text)]
    if bare := [name for name, _, value in pairs if not value]:
        raise DataError(f"{path}: expected name=value, got {bare[0]}")
    names, _, values = ([*parts] for parts in zip(*pairs, strict=True)) if pairs else ([], [], [])
    return _parsed(kind, names, [values], path)[0]


def records(kind: type, text: Any, path: str) -> list[dict[str, Any]]:
    """Plain data of the records of a table. Raises DataError with the path of what is none."""
    if not isinstance(text, str):
        raise DataError(f"{path}: expected a table, got {type(text).__name__}")
    header, *lines = [_cells(line) for line in text.splitlines()] or [[]]
    return _parsed(kind, header, lines, path)


def _parsed(
    kind: type, header: list[str], lines: list[list[str]], path: str
) -> list[dict[str, Any]]:
    if len(set(header)) < len(header):
        raise DataError(f"{path}: a field twice: {' '.join(header)}")
    texts = [i for i, name in enumerate(header) if name in _texts(kind)]
    rows = ",".join(_json(cells, texts, len(header), path) for cells in lines)
    try:
        return [dict(zip(header, row, strict=True)) for row in json.loads(f"[{rows}]")]
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error


def _json(cells: list[str], texts: Sequence[int], columns: int, path: str) -> str:
    if len(cells) != columns:
        raise DataError(f"{path}: expected {columns} cells, got {len(cells)}: {' '.join(cells)}")
    for i in texts:
        if cells[i][0] != '"':
            cells[i] = f'"{cells[i]}"'
    return f"[{','.join(cells)}]"


def _cells(line: str) -> list[str]:
    return _CELL.findall(line) if '"' in line else line.split()
