"""`weft report`: plans and runs on one page."""

from __future__ import annotations

import json


def test_a_plan_and_a_run(weft, small_plan, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.jsonl").write_text(json.dumps({"samples": 5, "loss": 1.5}))
    page = tmp_path / "page.html"
    done = weft("report", str(small_plan), str(run), "-o", str(page))
    assert done.code == 0, done.err
    assert "1 plan, 1 run" in done.out
    text = page.read_text()
    assert str(small_plan) in text
    assert "Training loss" in text


def test_a_directory_without_either_is_refused(weft, tmp_path):
    done = weft("report", str(tmp_path), "-o", str(tmp_path / "page.html"))
    assert done.code == 2
    assert "metrics.jsonl" in done.err
    assert not (tmp_path / "page.html").exists()
