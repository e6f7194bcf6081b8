"""The study of LoRA beside full fine-tuning: equal steps from one base, rows kept, the table."""

from __future__ import annotations

from pathlib import Path

import pytest
from weft.bench.studies import adapters
from weft.bench.studies.adapters import AdapterStudy, adapters_page, adapters_table, best_of


def test_methods_begin_at_one_base_and_the_table_takes_the_best_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jax")
    pytest.importorskip("sklearn")
    few = {name: adapters.METHODS[name] for name in ("full, dense base", "LoRA, dense base")}
    monkeypatch.setattr(adapters, "METHODS", few)
    monkeypatch.setattr(adapters, "RATES", (0.02, 0.1))
    study = AdapterStudy(base_samples=400, samples=200, seeds=1)
    rows = list(study.rows(tmp_path / "rows.jsonl"))
    assert [(row.method, row.rate) for row in rows] == [(m, r) for m in few for r in (0.02, 0.1)]
    full, lora = rows[0], rows[2]
    assert full.trained == 64 * 64 * 3 + 10 * 64 + 10 + 6 * 64
    assert lora.trained == 4 * (2 * 64 * 3 + 64 + 10)
    assert lora.state_bytes < full.state_bytes
    assert all(0.1 < row.upright <= 1 for row in rows)
    again = list(AdapterStudy(base_samples=400, samples=200, seeds=1).rows(tmp_path / "rows.jsonl"))
    assert again == rows
    best = best_of(rows, "LoRA, dense base")[0]
    assert best.validation == max(row.validation for row in rows[2:])
    _, table = adapters_table(rows)
    assert [line[0] for line in table] == list(few)
    assert "| LoRA, dense base |" in adapters_page(rows)
