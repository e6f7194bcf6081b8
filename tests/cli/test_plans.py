"""compile, show, check, diff on plan directories."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import weft as api
import yaml
from weft.compiler.pipeline import PASSES

TINY = ("mlp", "--target", "tiny_mesh", "--set", "model.options.width=16")
Weft = Callable[..., Any]


def test_compile_writes_a_plan_and_says_where(weft: Weft, tmp_path: Path) -> None:
    directory = tmp_path / "p"
    outcome = weft("compile", "mlp", "--target", "tiny_mesh", "-o", directory)
    assert outcome.code == 0
    assert f"written to {directory}" in outcome.out
    assert "mlp on tiny_mesh" in outcome.out
    assert "  map  " in outcome.err
    assert api.load(directory).document.recipe["target"] == {"name": "tiny_mesh", "overrides": {}}


def test_compile_lists_its_passes(weft: Weft) -> None:
    outcome = weft("compile", "--list-passes")
    assert outcome.code == 0
    assert [line.split()[0] for line in outcome.out.splitlines()[2:]] == list(PASSES)


def test_compile_prints_an_artefact_and_what_every_pass_took(weft: Weft, tmp_path: Path) -> None:
    where = ("-o", tmp_path / "p")
    outcome = weft("compile", *TINY, *where, "--print-after", "cut", "--passes")
    assert outcome.code == 0
    shown, _, table = outcome.out.partition("pass ")
    assert shown.startswith("-- after cut\n5 stages")
    asked_for = {"group_updates", "reversible", "recompute", "pack_saved", "off_wafer"}
    asked_for |= {"share"}  # or tied
    ran = [name for name in PASSES if name not in asked_for]
    assert [line.split()[0] for line in table.splitlines()[2 : 2 + len(ran)]] == ran
    data = json.loads(weft("compile", *TINY, *where, "--print-after", "cut", "--json").out)
    assert [row["name"] for row in data["passes"]] == ran
    assert all(row["seconds"] > 0 and row["peak_bytes"] > 0 for row in data["passes"])
    assert f"-- after cut\n{data['printed']['cut']}\n\n" == shown


def test_compile_refuses_to_print_after_an_unknown_pass(weft: Weft, tmp_path: Path) -> None:
    outcome = weft("compile", *TINY, "-o", tmp_path / "p", "--print-after", "cutt")
    assert outcome.code == 2
    assert "did you mean 'cut'?" in outcome.err
    assert not (tmp_path / "p").exists()


def test_compile_from_a_recipe_file_with_json(weft: Weft, tmp_path: Path) -> None:
    recipe = tmp_path / "run.yaml"
    recipe.write_text("model: mlp\ninput: {shape: [1, 8, 8], classes: 10}\ntarget: tiny_mesh\n")
    outcome = weft("compile", recipe, "-o", tmp_path / "p", "--json")
    data = json.loads(outcome.out)
    assert data["plan"] == str(tmp_path / "p")
    assert data["totals"]["pes_used"] > 0


def test_compile_a_factory_of_the_users(
    weft: Weft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n\n\ndef tiny(width):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(),"
        " nn.Linear(width, 10))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    inputs = ("--set", "input.shape=[1,8,8]", "--set", "input.classes=10")
    options = ("--target", "tiny_mesh", "--set", "model.options.width=12", "-o", tmp_path / "p")
    assert weft("compile", "mine:tiny", *inputs, *options).code == 0
    assert api.load(tmp_path / "p").document.parameters[0].shape == (12, 64)


def test_show_prints_every_stage(weft: Weft, small_plan: Path) -> None:
    outcome = weft("show", small_plan)
    assert outcome.code == 0
    for stage in api.load(small_plan).document.stages:
        assert stage.id in outcome.out


@pytest.mark.parametrize("verb", ["show", "simulate"])
def test_what_a_plan_says_is_read_without_torch(small_plan: Path, verb: str) -> None:
    code = (
        "import sys\n"
        "from weft.cli.app import app_of\n"
        "app_of()(sys.argv[1:], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, verb, str(small_plan)], check=True)


def test_show_one_stage(weft: Weft, small_plan: Path) -> None:
    stage = api.load(small_plan).document.stages[0]
    outcome = weft("show", small_plan, "--stage", "0")
    assert f"stage 0: {stage.id}" in outcome.out
    assert stage.operators[0].operator in outcome.out
    as_json = json.loads(weft("show", small_plan, "--stage", stage.id, "--json").out)
    assert as_json["id"] == stage.id


def test_operators_of_stages_that_share_a_program_have_their_own_lines(small_plan: Path) -> None:
    stages = api.load(small_plan).document.stages
    assert stages[1].program == stages[2].program
    modules = [{o.module for o in stage.operators} for stage in stages[1:3]]
    assert modules == [{"layers.2", "layers.3", "layers.4"}, {"layers.5", "layers.6", "layers.7"}]


def test_show_an_unknown_stage(weft: Weft, small_plan: Path) -> None:
    outcome = weft("show", small_plan, "--stage", "s00:layer.1")
    assert outcome.code == 2
    assert "did you mean" in outcome.err


def test_check_passes_a_compiled_plan(weft: Weft, small_plan: Path) -> None:
    outcome = weft("check", small_plan)
    assert outcome.code == 0, outcome.out
    assert "sound" in outcome.out


def test_check_knows_constants_the_user_has_set(weft: Weft, tmp_path: Path) -> None:
    directory = tmp_path / "fast"
    faster = ("--set", "target.name=tiny_mesh", "--set", "target.clock_hz=2e9")
    assert weft("compile", "mlp", *faster, "-o", directory).code == 0
    assert api.load(directory).document.clock_hz == 2e9
    assert weft("check", directory).code == 0


def test_check_fails_an_altered_plan_with_exit_code_1(weft: Weft, plan: Path) -> None:
    _edit(plan, lambda data: data["stages"][0].update(delay=1))
    outcome = weft("check", plan)
    assert outcome.code == 1
    assert "delay: s00" in outcome.out
    found = json.loads(weft("check", plan, "--json").out)[str(plan)]
    assert [violation["rule"] for violation in found] == ["file-altered", "delay"]


def test_an_edited_plan_is_read_with_a_note_and_not_run(weft: Weft, plan: Path) -> None:
    _edit(plan, lambda data: data.update(model="mine"))
    assert "was edited" in weft("show", plan).err
    outcome = weft("simulate", plan)
    assert outcome.code == 2
    assert f"weft check {plan} --accept" in outcome.err


def test_check_accepts_an_edit_that_breaks_no_rule(weft: Weft, plan: Path) -> None:
    _edit(plan, lambda data: data.update(model="mine"))
    assert weft("check", plan).code == 1
    assert weft("check", plan, "--accept").code == 0
    assert weft("check", plan).code == 0
    assert api.load(plan).document.model == "mine"


def test_check_accepts_no_edit_that_breaks_a_rule(weft: Weft, plan: Path) -> None:
    _edit(plan, lambda data: data["stages"][0].update(delay=1))
    assert weft("check", plan, "--accept").code == 1
    assert [line.split(":")[0].strip() for line in weft("check", plan).out.splitlines()[1:]] == [
        "file-altered",
        "delay",
    ]


def test_diff(weft: Weft, small_plan: Path, plan: Path) -> None:
    assert "the plans are equal" in weft("diff", small_plan, plan).out
    _edit(plan, lambda data: data["totals"].update(pes_used=1))
    outcome = weft("diff", small_plan, plan)
    assert outcome.code == 0
    assert "~ totals.pes_used" in outcome.out
    assert weft("diff", small_plan, plan, "--all").out == outcome.out
    assert json.loads(weft("diff", small_plan, plan, "--json").out)[0]["after"] == 1


@pytest.mark.parametrize("verb", ["show", "check", "simulate"])
@pytest.mark.parametrize("file", ["weights.safetensors", "stages", "plan.yaml"])
def test_a_missing_file_is_named(weft: Weft, plan: Path, verb: str, file: str) -> None:
    path = next((plan / file).glob("*")) if file == "stages" else plan / file
    path.unlink()
    outcome = weft(verb, plan)
    assert outcome.code == 2
    assert str(path) in outcome.err


@pytest.mark.parametrize("verb", ["show", "check", "simulate"])
def test_an_altered_file_is_named(weft: Weft, plan: Path, verb: str) -> None:
    path = plan / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    outcome = weft(verb, plan)
    assert outcome.code == 2
    assert str(path) in outcome.err


def test_a_plan_that_does_not_fit_is_a_report(weft: Weft, tmp_path: Path) -> None:
    directory = tmp_path / "p"
    outcome = weft("compile", "resnet20", "--target", "tiny_mesh", "-o", directory)
    assert outcome.code == 2
    assert "does not fit tiny_mesh" in outcome.err
    assert "levers" in outcome.err
    assert not directory.exists()


def _edit(plan: Path, change: Callable[[Any], None]) -> None:
    file = plan / "plan.yaml"
    data = yaml.safe_load(file.read_text())
    change(data)
    file.write_text(yaml.safe_dump(data))
