"""A run in a line."""

from __future__ import annotations

import io
import sys
from dataclasses import fields
from typing import Any

import pytest
from weft.runtime.training.report import Progress
from weft.runtime.training.training_line import TrainingLine


def progress(**values: Any) -> Progress:
    nothing: dict[str, Any] = dict.fromkeys((field.name for field in fields(Progress)), None)
    given = {"samples": 1200, "total": 4000, "loss": 0.5, "samples_per_s": 1234.5, "skipped": 0}
    return Progress(**(nothing | given | values))


def test_the_line_tells_what_there_is_and_the_callers_functions_are_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", shown := io.StringIO())
    line, told = TrainingLine("run"), []
    started, went_on = line.beside(told.append, told.append)
    started({"optimizer": "sgdm", "lr": 0.1})
    first, last = progress(), progress(samples=4000, accuracy=0.975, test_loss=0.1, skipped=2)
    went_on(first)
    went_on(last)
    line.close()
    lines = shown.getvalue().splitlines()
    assert lines[0] == "  run: sgdm, lr 0.1"
    assert "4,000/4,000 samples  loss 0.5000  test 97.5 %  1,23" in lines[-1]
    assert "2 updates skipped" in lines[-1]
    assert told == [{"optimizer": "sgdm", "lr": 0.1}, first, last]


@pytest.mark.parametrize(
    ("loss", "speed", "shown"),
    [
        (0.5, 0.0, "  run: 4,000/4,000 samples  loss 0.5000"),
        (float("nan"), 0.0, "  run: 4,000/4,000 samples"),
        (float("nan"), 10.0, "  run: 4,000/4,000 samples  loss nan  10 samples/s"),
    ],
    ids=["what was in flight", "nothing", "divergence"],
)
def test_a_run_with_nothing_left_to_train_has_no_speed(
    monkeypatch: pytest.MonkeyPatch, loss: float, speed: float, shown: str
) -> None:
    monkeypatch.setattr(sys, "stderr", written := io.StringIO())
    line = TrainingLine("run")
    line(progress(samples=4000, loss=loss, samples_per_s=speed))
    line.close()
    assert written.getvalue().splitlines()[-1].rstrip() == shown
