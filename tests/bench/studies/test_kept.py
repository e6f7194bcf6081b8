"""Rows on disk: what is there is not measured again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from weft.backend.errors import UserError
from weft.bench.studies.kept import missing_rows, read_rows


@dataclass(frozen=True)
class Row:
    name: str
    value: float

    @property
    def key(self) -> tuple[object, ...]:
        return (self.name,)


def test_what_a_former_run_left_is_not_measured_again(tmp_path: Path) -> None:
    path, asked = tmp_path / "rows.jsonl", []

    def measure(key: tuple[object, ...]) -> Row:
        asked.append(key)
        return Row(str(key[0]), 2.0)

    rows = missing_rows(path, Row, [("a",), ("b",)], measure)
    assert next(rows) == Row("a", 2.0)
    assert [row.name for row in missing_rows(path, Row, [("b",), ("a",)], measure)] == ["b", "a"]
    assert asked == [("a",), ("b",)]
    assert len(read_rows(path, Row)) == 2
    path.write_text('{"other": 1}\n')
    with pytest.raises(UserError, match="records"):
        read_rows(path, Row)
