"""Levers are trained alike: what changes nothing but the place of things gives the same loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import weft
from weft.bench.studies.levers.losses import HELD_OUT, LeverLoss, lever_losses, losses_table
from weft.bench.studies.levers.plans import LEVERS

PIXELS = 3 * 32 * 32
NETWORK = """
from torch import nn

def small():
    first = nn.Flatten(), nn.Linear(3072, 32), nn.BatchNorm1d(32), nn.ReLU()
    return nn.Sequential(*first, nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))
"""


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CIFAR-10's own files, of few random images; fewer are held out."""
    monkeypatch.setattr("weft.bench.studies.levers.losses.HELD_OUT", 8)
    draw = np.random.default_rng(0)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        records = draw.integers(0, 256, (8, 1 + PIXELS), dtype=np.uint8)
        records[:, 0] %= 10
        (tmp_path / f"{name}.bin").write_bytes(records.tobytes())
    return tmp_path


def test_levers_that_move_fifos_train_to_the_same_loss(images: Path, tmp_path: Path) -> None:
    (tmp_path / "network.py").write_text(NETWORK, encoding="utf-8")
    model = f"{tmp_path / 'network.py'}:small"
    few = {name: LEVERS[name] for name in ("none", "off the wafer", "8 bits")}
    records = tmp_path / "rows.jsonl"
    found = {row.lever: row for row in lever_losses(model, few, images, 24, 0, records)}
    assert found["none"].loss == found["off the wafer"].loss
    assert found["none"].loss is not None
    assert found["none"].first_delay == found["8 bits"].first_delay > 0
    again = list(lever_losses(model, few, images, 24, 0, records))
    assert again == list(found.values())
    assert len(records.read_text("utf-8").splitlines()) == len(few)


def test_too_few_images_are_refused_before_a_run(images: Path, tmp_path: Path) -> None:
    with pytest.raises(weft.errors.UserError, match="at most 32"):
        list(lever_losses("mlp", LEVERS, images, 33, 0, tmp_path / "rows.jsonl"))


def test_a_lever_with_a_run_that_diverged_has_no_mean() -> None:
    rows = [
        LeverLoss("m", "none", 9, 0, 4, 2.0, 0.5),
        LeverLoss("m", "none", 9, 1, 4, 1.0, 0.25),
        LeverLoss("m", "8 bits", 9, 0, 4, 2.0, 0.5),
        LeverLoss("m", "8 bits", 9, 1, 4, None, None),
    ]
    _, lines = losses_table(rows)
    assert lines == [["none", "4", "2", "1.500", "37.50"], ["8 bits", "4", "2", *["diverged"] * 2]]


def test_the_images_held_out_are_enough_for_a_figure() -> None:
    assert HELD_OUT >= 2000
