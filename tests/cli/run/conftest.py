"""A run of the command line that kept checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.plans_to_train import small_data
from helpers.weft_command import TRAIN, Weft


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = small_data()
    path = tmp_path_factory.mktemp("data") / "small.npz"
    arrays = {key: getattr(data, key) for key in ("x_train", "y_train", "x_test", "y_test")}
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def run(weft: Weft, small_plan: Path, small_file: Path, tmp_path_factory) -> tuple[Path, dict]:
    """A run that kept its last two checkpoints: their directory, and what it printed."""
    directory = tmp_path_factory.mktemp("run") / "checkpoints"
    options = ("--checkpoint", directory, "--every", "40", "--keep", "2")
    outcome = weft("train", small_plan, "--data", small_file, *TRAIN, *options)
    assert outcome.code == 0, outcome.err
    return directory, json.loads(outcome.out)
