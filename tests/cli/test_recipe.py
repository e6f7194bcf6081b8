"""`weft recipe`: what a recipe may hold, a file to start from, what is wrong in one."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner
from weft.cli.app import app_of


def weft(*arguments):
    return CliRunner().invoke(app_of(), ["recipe", *arguments])


def test_a_written_recipe_is_right(tmp_path):
    file = str(tmp_path / "recipe.yaml")
    assert weft("init", "resnet20", "--set", "sparsity=0.5", "-o", file).exit_code == 0
    done = weft("check", file, "--set", "optimizer.reference_batch_size=128")
    assert done.exit_code == 0, done.output
    assert "nothing wrong" in done.output
    assert "0.0001 at batch size 128" in done.output
    shown = json.loads(weft("show", file, "--json").output)
    assert {"key": "sparsity", "value": 0.5}.items() <= shown[1].items()


def test_a_file_is_not_replaced(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("mine")
    done = weft("init", "mlp", "-o", str(file))
    assert done.exit_code == 2
    assert file.read_text() == "mine"


def test_keys_are_shown_under_their_values():
    shown = weft("show", "mlp", "--set", "optimizer.lr=0.5").output
    assert "optimizer.lr: 0.5  (number > 0; default 0.0001)\n    Learning rate" in shown


def test_keys_are_shown_without_a_model():
    rows = json.loads(weft("show", "--json").output)
    assert len(rows) > 50
    assert not any("value" in row for row in rows)


@pytest.mark.parametrize(
    "setting",
    [
        "data=nowhere.npz",
        "target=wse9",
        "target.nothing=1",
        "model.options={widht: 3}",
        "sparsity={algorithm: magic}",
        "loss=no_loss",
        "optimizer.lr=-1",
        "pipeline.compensation=magic",
    ],
)
def test_mistakes_are_said(setting):
    done = weft("check", "mlp", "--set", setting)
    assert done.exit_code == 2
    assert "expected" in done.output
    assert "Traceback" not in done.output
