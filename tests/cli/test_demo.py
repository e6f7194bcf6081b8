"""`weft demo`: compile, simulate and train a real network on real data, and write a report."""

from __future__ import annotations

from pathlib import Path

import pytest
import weft as api
import yaml
from helpers.weft_command import Weft

SMALL_DEMO = (
    *("demo", "--set", "model=mlp", "--set", "model.options.width=16", "--set", "target=tiny_mesh"),
    *("--epochs", "1", "--executor", "reference", "--set", "optimizer.lr=1e-3"),
)


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
