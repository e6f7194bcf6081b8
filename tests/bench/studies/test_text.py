"""The experiment on text: a small transformer that predicts the next byte."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from weft.backend.errors import UserError
from weft.bench.models.bytes_model import ByteModel
from weft.bench.studies.text import DEFAULT_TEXT, OPTIMIZERS, SMALL, text_experiment
from weft.bench.studies.training import RunSetting
from weft.compiler.plan.program import HOST, Source
from weft.runtime.data import load_data
from weft.runtime.executors import make_executor

pytest.importorskip("jax")


def test_scores_do_not_see_the_bytes_they_predict() -> None:
    torch.manual_seed(0)
    model = ByteModel()
    text = torch.randint(0, 256, (1, SMALL.window))
    other = text.clone()
    other[0, 20] = (other[0, 20] + 1) % 256
    changed = (model(text) - model(other)).abs().amax((0, 2))
    assert (changed[:20] == 0).all()
    assert (changed[20:] > 0).all()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_stages_read_the_text_first_and_the_following_bytes_last(optimizer: str) -> None:
    stages = text_experiment(optimizer).job(RunSetting("none", 1.0, 0)).stages
    assert stages.stages[0].inputs == (Source(HOST, 0),)
    assert Source(HOST, 1) in stages.stages[-1].inputs


def test_text_is_learnt_with_delays() -> None:
    experiment = text_experiment("adamw")
    machine = make_executor("reference", experiment.job(RunSetting("lwp", 1.0, 0)), "pipelined")
    data = experiment.data
    losses = machine.feed([data.x_train[:160], data.y_train[:160]]).losses.values
    assert losses[:10].mean() > 5.0  # log 256 = 5.5 for a guess
    assert losses[-20:].mean() < 4.5


def test_a_text_that_is_too_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.txt"
    path.write_bytes(b"too short")
    with pytest.raises(UserError, match="two windows"):
        text_experiment("sgdm", path)


def test_the_default_text_is_there() -> None:
    assert len(load_data(str(DEFAULT_TEXT), (SMALL.window,)).x_train) > 1000
