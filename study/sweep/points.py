"""Which combinations: all of a grid, some at random, or those of a file."""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...backend.errors import UserError
from ...backend.yaml_text import read_yaml
from .axes import Axis

Overrides = Mapping[str, Any]
"""Dotted keys of a recipe with their values."""
MOST_POINTS = 1_000_000
SEARCHES = ("optuna",)
"""What may choose points one after the other."""


def grid_points(axes: Sequence[Axis]) -> list[Overrides]:
    """Every combination, the last axis fastest. Raises UserError for axes drawn at random."""
    drawn = [axis.key for axis in axes if axis.interval is not None]
    if drawn:
        raise UserError(
            f"axis {drawn[0]}",
            expected="how many points to draw, where one axis is random",
            got="none",
            change="--points 100",
        )
    count = math.prod(len(axis.values) for axis in axes)
    _check_count(count)
    keys = [axis.key for axis in axes]
    return [
        dict(zip(keys, values, strict=True))
        for values in itertools.product(*(axis.values for axis in axes))
    ]


def random_points(axes: Sequence[Axis], count: int, seed: int) -> list[Overrides]:
    """`count` combinations, each axis drawn evenly over its values or its interval."""
    _check_count(count)
    shares = np.random.default_rng(seed).random((count, len(axes)))
    return [
        {axis.key: axis.at(share) for axis, share in zip(axes, row, strict=True)} for row in shares
    ]


def file_points(path: Path) -> list[Overrides]:
    """The points of a .csv file with keys in its first line, or of lines of JSON objects.

    Raises UserError naming file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _bad_file(path, "a readable file", str(error)) from error
    points = list(_csv(path, text) if path.suffix == ".csv" else _json_lines(path, text))
    if not points:
        raise _bad_file(path, "at least one point", "none")
    _check_count(len(points))
    return points


def _csv(path: Path, text: str) -> Iterator[Overrides]:
    rows = csv.reader(text.splitlines())
    keys = [key.strip() for key in next(rows, [])]
    for row in rows:
        if len(row) != len(keys):
            where = f"line {rows.line_num}"
            raise _bad_file(path, f"{where}: {len(keys)} values", f"{len(row)}")
        yield {key: read_yaml(value) for key, value in zip(keys, row, strict=True)}


def _json_lines(path: Path, text: str) -> Iterator[Overrides]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            point = json.loads(line)
        except ValueError:
            point = None
        if not isinstance(point, dict):
            raise _bad_file(path, f'line {number}: an object, as in {{"sparsity": 0.5}}', line[:60])
        yield point


def _check_count(count: int) -> None:
    if not 1 <= count <= MOST_POINTS:
        raise UserError(
            "points of the sweep",
            expected=f"1 to {MOST_POINTS:,}",
            got=f"{count:,}",
            change="fewer values, or --points to draw some at random",
        )


def _bad_file(path: Path, expected: str, got: str) -> UserError:
    return UserError(f"points {path}", expected=expected, got=got, change="correct the file")


def override(key: str, value: Any) -> str:
    """'key=value' with the value as YAML has it in one line."""
    return f"{key}={value if isinstance(value, str) else json.dumps(value)}"
