"""A slice of the sweep over torch's operator database, and what the judge tells apart."""

from __future__ import annotations

import pytest

pytest.importorskip("expecttest")  # what torch's database is loaded with
pytest.importorskip("jax")

from weft.bench.operators import sweep

SLICE = ["nn.functional.softshrink", "view_as", "linalg.solve", "norm", "normal"]


@pytest.fixture(scope="module")
def rows():
    return list(sweep.rows(sweep.operators(SLICE), samples=1, jax_samples=1))


def test_a_slice_is_right(rows):
    assert [row.operator for row in rows] == sorted(SLICE, key=[*sweep.operators()].index)
    assert {row.verdict.kind for row in rows} == {"right"}
    by_jax = {row.operator: row.verdict.jax for row in rows}
    assert by_jax.pop("normal") == ""  # which draws: the witness alone judges
    assert set(by_jax.values()) == {"right"}


def test_rows_survive_a_file_and_are_not_run_again(rows, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(row.line() + "\n" for row in rows) + '{"cut off')
    assert sweep.read(path) == rows
    assert list(sweep.rows(sweep.operators(SLICE), 1, 1, rows)) == []
