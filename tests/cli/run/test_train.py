"""train and demo, on a small perceptron."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import weft as api
import yaml
from safetensors.torch import save_file
from weft.runtime.data import load_data

Weft = Callable[..., Any]

SMALL_DEMO = (
    *("demo", "--set", "model=mlp", "--set", "model.options.width=16", "--set", "target=tiny_mesh"),
    *("--epochs", "1", "--executor", "reference", "--set", "optimizer.lr=1e-3"),
)


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the digits, in the form of a user's own file."""
    digits = load_data("digits")
    path = tmp_path_factory.mktemp("data") / "some.npz"
    np.savez(
        path,
        x_train=digits.x_train[:150],
        y_train=digits.y_train[:150],
        x_test=digits.x_test[:40],
        y_test=digits.y_test[:40],
    )
    return path


def test_data_may_be_the_recipes(weft: Weft, small_plan: Path, small_data: Path) -> None:
    """Without --data a run reads what its recipe names, and says so if that is nothing."""
    few = ("train", str(small_plan), "--executor", "reference", "--epochs", "1", "--json")
    done = weft(*few, "--set", f"data={small_data}")
    assert json.loads(done.out)["samples"] == 150
    refused = weft(*few)
    assert refused.code == 2
    assert "--data" in refused.err


def test_train_prints_what_the_run_gave(weft: Weft, small_plan: Path) -> None:
    arguments = ("--data", "digits", "--executor", "reference", "--epochs", "1", "--json")
    faster = ("--set", "optimizer.reference_batch_size=null", "--set", "optimizer.lr=0.005")
    outcome = weft("train", small_plan, *arguments, *faster)
    assert outcome.code == 0, outcome.err
    data = json.loads(outcome.out)
    assert data["samples"] == 1437
    assert data["test_accuracy"] > 0.5
    assert "samples/s" in outcome.err


def test_train_writes_a_trained_plan(
    weft: Weft, small_plan: Path, small_data: Path, tmp_path: Path
) -> None:
    trained = tmp_path / "trained"
    arguments = ("--data", small_data, "--executor", "reference", "--epochs", "1")
    outcome = weft("train", small_plan, *arguments, "-o", trained)
    assert outcome.code == 0, outcome.err
    assert "test accuracy" in outcome.out
    assert weft("check", trained).code == 0
    before, after = api.load(small_plan).tensors, api.load(trained).tensors
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], after[name]) for name in before if "weight" in name)


def test_train_needs_no_source_of_the_model(small_data: Path, tmp_path: Path) -> None:
    source, elsewhere = tmp_path / "source", tmp_path / "elsewhere"
    source.mkdir()
    elsewhere.mkdir()
    (source / "far_away.py").write_text(
        "from torch import nn\n\n\ndef tiny():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    inputs = ("--set", "input.shape=[1,8,8]", "--set", "input.classes=10")
    compiling = ("compile", "far_away:tiny", *inputs, "--target", "tiny_mesh", "-o", "../p")
    training = (
        "train",
        "../p",
        "--data",
        str(small_data),
        "--executor",
        "reference",
        "--epochs",
        "1",
    )
    for directory, arguments in ((source, compiling), (elsewhere, training)):
        environment = os.environ | {"PYTHONPATH": str(source) if directory is source else ""}
        command = (sys.executable, "-m", "weft.cli.main", *arguments)
        subprocess.run(command, cwd=directory, env=environment, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("arguments", "given", "known"),
    [
        (("--data", "digit"), "digit", "digits"),
        (("--data", "none.npz"), "none.npz", "npz"),
        (("--data", "digits", "--executor", "jacks"), "jacks", "jax"),
        (("--data", "digits", "--device", "gpu"), "gpu", "cuda"),
        (("--data", "digits", "--executor", "reference", "--device", "tpu"), "tpu", "here: cpu"),
        (("--data", "digits", "--set", "optimizer.name=sgd"), "'sgd'", "sgdm"),
        (("--data", "digits", "--set", "pipeline.compensation=sx"), "sx", "sc"),
    ],
)
def test_mistakes_in_training_get_one_message(
    weft: Weft, small_plan: Path, arguments: tuple[str, ...], given: str, known: str
) -> None:
    outcome = weft("train", small_plan, *arguments)
    assert outcome.code == 2
    assert given in outcome.err
    assert known in outcome.err
    assert "Traceback" not in outcome.err


def test_demo_writes_report_plan_and_recipe(weft: Weft, small_data: Path, tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    outcome = weft(*SMALL_DEMO, "--set", f"data={small_data}", "--compare", "-o", directory)
    assert outcome.code == 0, outcome.err
    assert "points from it" in outcome.out
    assert {entry.name for entry in directory.iterdir()} == {
        "plan",
        "trained",
        "recipe.yaml",
        "report.html",
    }
    assert [entry.name for entry in tmp_path.iterdir()] == ["demo"]
    page = (directory / "report.html").read_text()
    assert all(stage.id in page for stage in api.load(directory / "plan").document.stages)
    assert weft("check", directory / "plan", directory / "trained").code == 0


def test_the_recipe_of_the_demo_compiles_to_the_same_plan(
    weft: Weft, small_data: Path, tmp_path: Path
) -> None:
    demo = weft(*SMALL_DEMO, "--set", f"data={small_data}", "-o", tmp_path / "demo")
    assert demo.code == 0
    recipe = tmp_path / "demo" / "recipe.yaml"
    assert yaml.safe_load(recipe.read_text())["model"]["name"] == "mlp"
    assert weft("compile", recipe, "-o", tmp_path / "again").code == 0
    for file in ("plan.yaml", "weights.safetensors"):
        again = (tmp_path / "again" / file).read_bytes()
        assert again == (tmp_path / "demo" / "plan" / file).read_bytes()


def test_an_interrupted_demo_leaves_nothing(
    weft: Weft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("weft.api.train", interrupt)
    outcome = weft(*SMALL_DEMO, "-o", tmp_path / "demo")
    assert outcome.code == 130
    assert list(tmp_path.iterdir()) == []


def test_a_demo_over_foreign_files_is_refused_first(weft: Weft, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    outcome = weft(*SMALL_DEMO, "-o", tmp_path)
    assert outcome.code == 2
    assert "thesis.tex" in outcome.err
    assert outcome.out == ""


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
    assert np.load(out)["arr_0"].shape[0] == json.loads(found.out)["samples"]
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
        outputs.append((json.loads(found.out), np.load(out)["arr_0"]))
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
