"""`weft predict`: a plan's predictions, nothing trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import weft as api
from helpers.weft_command import Weft
from safetensors.torch import save_file


def test_weights_of_a_file_are_predicted_with(
    weft: Weft, small_plan: Path, small_data: Path, tmp_path: Path
) -> None:
    """Weights of a trained plan, taken out of it and put into the plan that was not trained."""
    trained, out = tmp_path / "trained", tmp_path / "out" / "p.npz"
    options = ("--epochs", "1", "--executor", "reference", "--json")
    run = weft("train", small_plan, "--data", small_data, "-o", trained, *options)
    assert run.code == 0, run.err
    file = tmp_path / "weights.safetensors"
    save_file(dict(api.load(trained).tensors), file)
    chosen = ("--data", small_data, "--executor", "reference", "--json")
    found = weft("predict", small_plan, "--weights", file, "-o", out, *chosen)
    assert found.code == 0, found.err
    assert json.loads(found.out)["loss"] == json.loads(run.out)["test_loss"]
    assert np.load(out)["prediction"].shape[0] == json.loads(found.out)["samples"]
    missing = weft("predict", small_plan, "--weights", tmp_path / "none", *chosen)
    assert missing.code == 2
    assert "no such file" in missing.err
    both = weft("train", small_plan, "--data", small_data, "--weights", file, "--resume", trained)
    assert both.code == 2


def test_predictions_need_no_labels(
    weft: Weft, small_plan: Path, small_data: Path, tmp_path: Path
) -> None:
    """Those of the same samples with and without labels are the same."""
    np.savez(tmp_path / "x.npz", x_test=np.load(small_data)["x_test"])
    outputs = []
    for data in (small_data, tmp_path / "x.npz"):
        out = tmp_path / f"{len(outputs)}.npz"
        chosen = ("--data", data, "--executor", "reference", "--json", "-o", out)
        found = weft("predict", small_plan, *chosen)
        assert found.code == 0, found.err
        outputs.append((json.loads(found.out), np.load(out)["prediction"]))
    (scored, expected), (plain, got) = outputs
    assert np.array_equal(got, expected)
    assert plain == {"samples": scored["samples"]}
    named = weft("predict", small_plan, "--data", small_data, "-o", tmp_path / "p.csv")
    assert named.code == 2
    assert "p.npz" in named.err
    assert not (tmp_path / "p.csv").exists()


def test_predictions_name_their_device(weft: Weft, small_plan: Path, small_data: Path) -> None:
    chosen = ("predict", small_plan, "--data", small_data, "--executor", "reference", "--json")
    found, by_default = weft(*chosen, "--device", "cpu"), weft(*chosen)
    assert found.code == 0, found.err
    assert found.out == by_default.out
    for device in ("cuda", "gpu"):
        missing = weft(*chosen, "--device", device)
        assert missing.code == 2
        assert device in missing.err
