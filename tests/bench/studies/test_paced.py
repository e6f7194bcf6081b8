"""The study of self-paced data: equal updates, and the table."""

from __future__ import annotations

from pathlib import Path

import pytest
from weft.bench.studies.paced import RANDOM, PacedStudy, paced_page, paced_table


def test_methods_make_equal_updates_and_the_table_has_gaps_to_random(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    pytest.importorskip("sklearn")
    methods = (RANDOM, "least losses of each cluster")
    study = PacedStudy(epochs=2, seeds=1, methods=methods, overrides=("model.options.width=8",))
    rows = list(study.rows(tmp_path / "rows.jsonl"))
    assert {row.updates for row in rows} == {2 * 1437}
    plain, paced = rows
    assert (plain.share, plain.passes) == (1.0, 0)
    assert 0.5 < paced.share < 0.9
    assert paced.passes == 2
    gap = f"{100 * (paced.accuracy - plain.accuracy):+.2f}"
    assert [row[2] for row in paced_table(rows)[1]] == ["", gap]
    assert paced_page(rows[:1], 2).startswith("**Not finished: 1 of 2 runs")
