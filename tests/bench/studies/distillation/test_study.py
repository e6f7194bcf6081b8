"""A whole run on a very small model, and its tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from weft.bench.studies.distillation.runs import (
    ADAPTED,
    MERGED,
    OWN,
    PLAIN,
    PRUNED,
    WHOLE,
    StudySizes,
)
from weft.bench.studies.distillation.study import (
    DistillationStudy,
    choice_table,
    distillation_page,
    method_table,
    plan_table,
)


def test_every_way_of_tuning_is_measured_beside_the_plans(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    pytest.importorskip("transformers")
    letters = "abcdefghij"
    text = tmp_path / "text.txt"
    text.write_text(" ".join(f"{a}{b}{c}" for a in letters for b in letters for c in "abc") * 3)
    sizes = StudySizes(
        blocks=2, removed=1, width=16, steps=3, examples=3, epochs=1, calibration=2, tests=4
    )
    study = DistillationStudy(text, 1, sizes)
    (row,) = study.rows(tmp_path / "rows.jsonl")
    assert list(row.methods) == [WHOLE, PRUNED, PLAIN, OWN, MERGED, ADAPTED]
    losses = [row.methods[name]["text_loss"] for name in (PRUNED, PLAIN, OWN, ADAPTED)]
    assert len(set(losses)) == (3 if row.own == 0 else 4)  # an answer not kept is the plain one
    assert row.methods[PRUNED] == {
        name: row.choices[row.first][name] for name in ("text_loss", "right")
    }
    assert len(row.choices) == 2
    whole, pruned = row.plans[WHOLE], row.plans[PRUNED]
    gone = whole["stages"] - pruned["stages"]
    assert gone >= 1
    assert whole["first_delay"] - pruned["first_delay"] == 2 * gone
    assert whole["parameters"] - pruned["parameters"] == 16 * (16 + 16 + 8 + 8) + 3 * 16 * 32 + 32
    assert [table([row])[0][0] for table in (choice_table, plan_table, method_table)] == [
        "seed",
        "",
        "model",
    ]
    assert "Not finished: 1 of 2 seeds" in distillation_page([row], 2)
    assert list(study.rows(tmp_path / "rows.jsonl")) == [row]
