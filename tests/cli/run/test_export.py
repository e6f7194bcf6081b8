"""`weft export`: a plan's forward as StableHLO."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import weft as api
from helpers.plans_to_train import small_data
from safetensors.torch import load_file
from weft.compiler.recipes.network import build_model
from weft.compiler.recipes.read import make_recipe

Weft = Callable[..., Any]


def test_export_is_drained_and_loads_into_the_plain_model(
    weft: Weft, small_plan: Path, small_file: Path, run: tuple[Path, dict], tmp_path: Path
) -> None:
    """From the last checkpoint, before draining, to the weights after it, tested eagerly."""
    trained = tmp_path / "trained"
    options = ("--epochs", "2", "--executor", "reference", "-o", trained)
    assert weft("train", small_plan, "--data", small_file, *options).code == 0
    file = tmp_path / "new" / "weights.safetensors"
    outcome = weft("checkpoint", "export", run[0], "-o", file)
    assert outcome.code == 0, outcome.err
    assert "after 120 samples" in outcome.out
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    weights, expected = load_file(file), api.load(trained).tensors
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], value) for name, value in expected.items())
    assert weft("checkpoint", "plan", run[0], "-o", tmp_path / "plan").code == 0
    written, whole = api.load(tmp_path / "plan"), api.load(trained)
    assert all(torch.equal(written.tensors[n], value) for n, value in whole.tensors.items())
    assert all(torch.equal(written.masks[n], mask) for n, mask in whole.masks.items())
    plan = api.load(small_plan)
    model, _ = build_model(make_recipe(plan.document.recipe))
    model.load_state_dict(weights)
    data = small_data()
    with torch.no_grad():
        scores = model.eval()(torch.from_numpy(data.x_test))
    loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(data.y_test))
    assert float(loss) == pytest.approx(run[1]["test_loss"], rel=1e-4)


def test_export_in_flight_differs_from_the_weights_as_they_are(
    weft: Weft, run: tuple[Path, dict], tmp_path: Path
) -> None:
    step, file = run[0] / "step-000000080", tmp_path / "w.safetensors"
    assert weft("checkpoint", "export", step, "-o", file).code == 0
    state, drained = load_file(step / "state.safetensors"), load_file(file)
    changed = [n for n, v in drained.items() if not torch.equal(v, state.get(f"weights/{n}", v))]
    assert changed
