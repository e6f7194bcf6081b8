"""Making a model fit, from the command line: what was pulled is in the plan, and in its recipe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import yaml
from weft.compiler.plan.store import load

SMALL = (
    *("--target", "tiny_mesh", "--set", "model.options.width=16"),
    *("--set", "target.grid.rows=2", "--set", "target.grid.columns=2"),
)


def _compile(weft, directory: Path, *more: str):
    outcome = weft("compile", "mlp", *SMALL, *more, "-o", directory)
    return outcome, directory


def test_fit_auto_makes_a_plan_whose_recipe_makes_it_again(weft, tmp_path: Path) -> None:
    outcome, plan = _compile(weft, tmp_path / "p", "--fit", "auto")
    assert outcome.code == 0, outcome.err
    assert "made to fit" in outcome.out
    document = load(plan).document
    assert document.fit
    assert document.fit[-1].after.fits
    assert weft("check", plan).code == 0
    recipe = tmp_path / "again.yaml"
    recipe.write_text(yaml.safe_dump(document.recipe))
    outcome = weft("compile", recipe, "-o", tmp_path / "again")
    assert outcome.code == 0, outcome.err
    again = load(tmp_path / "again").document
    assert again.fit == ()
    assert again.wafers == document.wafers
    assert again.stages == document.stages
    assert again.totals == document.totals
    assert weft("check", tmp_path / "again").code == 0


def test_a_chain_of_wafers_can_be_asked_for(weft, tmp_path: Path) -> None:
    outcome, plan = _compile(weft, tmp_path / "p", "--set", "target.wafers=40", "--json")
    assert outcome.code == 0, outcome.err
    totals = json.loads(outcome.out)["totals"]
    assert 1 < totals["wafers_least"] <= totals["wafers_used"] <= 40
    assert weft("check", plan).code == 0
    assert weft("simulate", plan, "--samples", "10").code == 0


def test_what_nothing_makes_fit_is_a_report(weft, tmp_path: Path) -> None:
    outcome, plan = _compile(
        weft, tmp_path / "p", "--fit", "auto", "--set", "target.sram.bytes_per_pe=2100"
    )
    assert outcome.code == 2
    assert "levers" in outcome.err
    assert not plan.exists()


def test_a_recipe_that_comes_with_weft_is_compiled_by_its_name(weft, tmp_path: Path) -> None:
    outcome = weft("compile", "self_paced", "-o", tmp_path / "p", "--set", "epochs=1")
    assert outcome.code == 0, outcome.err
    recipe = load(tmp_path / "p").document.recipe
    assert recipe["data"]["sampler"]["kind"] == "self_paced"
    assert recipe["epochs"] == 1


def test_a_self_paced_run_says_what_its_passes_took(weft, tmp_path: Path) -> None:
    small = ("--set", "data.sampler.embedding_epochs=0", "--set", "target=tiny_mesh")
    weft("compile", "self_paced", *small, "--set", "model.options.width=8", "-o", tmp_path / "p")
    x, y = np.random.default_rng(0).random((60, 1, 8, 8), np.float32), np.arange(60) % 10
    np.savez(tmp_path / "few.npz", x_train=x, y_train=y, x_test=x[:10], y_test=y[:10])
    run = ("--executor", "reference", "--epochs", "1", "--data", tmp_path / "few.npz")
    outcome = weft("train", tmp_path / "p", *run, "--json")
    assert outcome.code == 0, outcome.err
    (ended,) = json.loads(outcome.out)["passes"]
    assert ended["pass_samples"] == 60
    assert [row["samples"] for row in ended["pass_classes"]] == [6] * 10


def test_a_plan_without_weights_is_simulated_and_not_trained(weft, tmp_path: Path) -> None:
    plan = tmp_path / "p"
    asked = ("compile", "mlp", "--target", "tiny_mesh", "--set", "sparsity=0.5", "--no-weights")
    outcome = weft(*asked, "-o", plan)
    assert outcome.code == 0, outcome.err
    assert load(plan).tensors == {}
    assert weft("check", plan).code == 0
    assert weft("simulate", plan, "--samples", "10").code == 0
    outcome = weft("train", plan, "--data", "digits", "-o", tmp_path / "t")
    assert outcome.code == 2
    assert "a plan with weights" in outcome.err
    outcome = weft(*asked, "--weights", plan / "weights.safetensors", "-o", tmp_path / "q")
    assert outcome.code == 2
