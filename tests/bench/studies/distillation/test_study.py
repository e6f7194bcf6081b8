"""A whole run on a very small model, and its tables."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from helpers.byte_pairs import save_tokenizer
from weft.backend.errors import UserError
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
    text = words(tmp_path)
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


def words(folder: Path) -> Path:
    letters, path = "abcdefghij", folder / "text.txt"
    path.write_text(" ".join(f"{a}{b}{c}" for a in letters for b in letters for c in "abc") * 3)
    return path


def gpt2(folder: Path, vocabulary: int = 300, positions: int = 64) -> Path:
    transformers = pytest.importorskip("transformers")
    sizes = {"n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": positions}
    config = transformers.GPT2Config(vocab_size=vocabulary, **sizes)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def test_a_model_at_a_path_with_its_tokenizer_is_measured(tmp_path: Path) -> None:
    """GPT-2's head is its embedding, its layers are transposed; it is not trained before."""
    pytest.importorskip("jax")
    save_tokenizer(gpt2(tmp_path / "model"), "?word>WORD~word")
    sizes = StudySizes(
        tmp_path / "model", removed=1, steps=0, examples=2, epochs=1, calibration=2, tests=4
    )
    study = DistillationStudy(words(tmp_path), 1, sizes)
    (row,) = study.rows(tmp_path / "rows.jsonl")
    assert "GPT2LMHeadModel" in row.setup
    assert "tokens of" in row.setup
    assert (len(row.choices), row.own) == (3, 0)  # a model that was never trained rewrites nothing
    assert row.methods[WHOLE]["text_loss"] == pytest.approx(math.log(300), abs=0.3)
    assert row.methods[PLAIN]["text_loss"] != row.methods[PRUNED]["text_loss"]
    assert row.methods[ADAPTED]["text_loss"] != row.methods[PRUNED]["text_loss"]


def test_models_that_cannot_be_measured_are_refused_before_anything_runs(tmp_path: Path) -> None:
    text, records = words(tmp_path), tmp_path / "rows.jsonl"
    few, short = gpt2(tmp_path / "few", vocabulary=99), gpt2(tmp_path / "short", positions=20)
    for sizes, said in (
        (StudySizes(blocks=2, removed=2), "between 1 and 1 blocks"),
        (StudySizes(few, removed=1), "at least 256, which bytes need"),
        (StudySizes(short, removed=1), "reads 48 tokens"),
        (StudySizes(tmp_path / "none", removed=1), "a folder with a causal model"),
    ):
        with pytest.raises(UserError, match=said):
            list(DistillationStudy(text, 1, sizes).rows(records))
    assert not records.exists()
