"""The app itself: help, mistakes, exit codes, interruption."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import weft as api
from weft.sim import simulate
from weft.sim.fabric.level import PHASES

Weft = Callable[..., Any]


def test_help_does_not_wait_for_torch_or_jax() -> None:
    code = (
        "import sys; from weft.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'jax', 'numpy', 'pydantic', 'numba'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_version(weft: Weft) -> None:
    assert weft("version").out == f"weft {api.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "given", "closest", "how_to_list"),
    [
        (("compile", "resnet2"), "resnet2", "resnet32", "weft models"),
        (("compile", "mlp", "--target", "wse33"), "wse33", "wse3", "weft targets"),
        (("targets", "show", "wse"), "wse", "wse", "weft targets"),
        (("targets", "check", "tiny"), "tiny", "tiny_mesh", "weft targets"),
        (("compile", "mlp", "--set", "epoch=1"), "epoch", "epochs", "one of"),
        (("compile", "mlp", "--set", "target.clock=1"), "clock", "clock_hz", "weft targets show"),
        (("compile", "mlp", "--set", "normalization=onlin"), "onlin", "online", "norm_kinds"),
    ],
)
def test_an_unknown_name_gets_one_message(
    weft: Weft, arguments: tuple[str, ...], given: str, closest: str, how_to_list: str
) -> None:
    outcome = weft(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert given in outcome.err
    assert "did you mean" in outcome.err or closest in outcome.err
    assert closest in outcome.err
    assert how_to_list in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("compile", "nowhere.yaml"),
        ("compile", "nowhere:factory"),
        ("compile", "mlp", "--target", "nowhere.yaml"),
        ("show", "nowhere"),
        ("check", "nowhere"),
        ("diff", "nowhere", "nowhere"),
        ("simulate", "nowhere"),
    ],
)
def test_a_missing_file_gets_one_message(weft: Weft, arguments: tuple[str, ...]) -> None:
    outcome = weft(*arguments)
    assert outcome.code == 2
    assert "nowhere" in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("arguments", [("frob",), ("compile",), ("show",), ("simulate", "--x")])
def test_wrong_usage_is_exit_code_2(weft: Weft, arguments: tuple[str, ...]) -> None:
    assert weft(*arguments).code == 2


def test_an_interrupted_compile_leaves_nothing(
    weft: Weft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("weft.compiler.plan.write._program_text", interrupt)
    outcome = weft("compile", "mlp", "--target", "tiny_mesh", "-o", tmp_path / "p")
    assert outcome.code == 130
    assert outcome.err.splitlines()[-1].startswith("interrupted")
    assert list(tmp_path.iterdir()) == []


def test_a_defect_keeps_its_traceback(weft: Weft, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("weft.compiler.recipes.build.compile_recipe", defect)
    with pytest.raises(ZeroDivisionError):
        weft("compile", "mlp")


def test_models_and_targets_are_listed(weft: Weft) -> None:
    assert "resnet20" in weft("models").out
    names = {row["name"] for row in json.loads(weft("targets", "--json").out)}
    assert {"wse2", "wse3", "tiny_mesh"} <= names


def test_targets_show_says_where_each_constant_is_from(weft: Weft) -> None:
    rows = json.loads(weft("targets", "show", "wse2", "--json").out)
    assert all(row["source"] and row["confidence"] for row in rows)
    assert {"clock_hz", "noc.hop_cycles"} <= {row["constant"] for row in rows}
    assert "published" in weft("targets", "show", "wse2").out


def test_targets_check_redoes_the_peak_arithmetic(weft: Weft) -> None:
    outcome = weft("targets", "check", "--json")
    assert outcome.code == 0
    rows = json.loads(outcome.out)
    assert {row["target"] for row in rows} >= {"wse2", "wse3"}
    assert all(row["passed"] for row in rows)


def test_targets_check_fails_with_exit_code_1(weft: Weft, tmp_path: Path) -> None:
    from importlib import resources

    text = (resources.files("weft.compiler.targets") / "wse2.yaml").read_text()
    file = tmp_path / "boast.yaml"
    file.write_text(
        text.replace("advertised_cores: {value: 850000", "advertised_cores: {value: 85")
    )
    assert weft("targets", "check", file).code == 1


def test_doctor_says_what_works_and_why_not(weft: Weft) -> None:
    data = json.loads(weft("doctor", "--json").out)
    rows = {(row["executor"], row["device"]): row for row in data["executors"]}
    assert rows["reference", "cpu"]["works"] == "yes"
    assert rows.keys() == {
        (executor, device)
        for executor in ("reference", "jax", "torch-xla")
        for device in ("cpu", "cuda", "tpu")
    }
    assert all(row["detail"] for row in rows.values())


def test_simulate_prints_what_the_report_says(weft: Weft, small_plan: Path) -> None:
    data = json.loads(weft("simulate", small_plan, "--samples", 200, "--json").out)
    report = simulate(api.load(small_plan).document, samples=200)
    assert data.items() >= json.loads(json.dumps(report.to_dict())).items()
    assert [entry["stage"] for entry in data["advice"]] == [row.id for row in report.stages]
    assert data["energy"] is None  # tiny_mesh has no powers
    text = weft("simulate", small_plan, "--samples", 200, "--level", "analytic").out
    assert "throughput" in text
    assert report.stages[0].id in text


def test_simulate_steps_products_pe_by_pe(weft: Weft, tmp_path: Path) -> None:
    width = "model.options.width=16"
    assert (
        weft("compile", "mlp", "--target", "wse2", "--set", width, "-o", tmp_path / "p").code == 0
    )
    text = weft("simulate", tmp_path / "p", "--samples", 50, "--level", "fabric").out
    assert "fabric level" in text
    data = json.loads(weft("simulate", tmp_path / "p", "--level", "fabric", "--json").out)
    rows = [row for row in data["stepped"] if row["stepped"]]
    assert len(rows) >= 4
    assert all(row["stage"] in text for row in rows)
    phases = {(row["stage"], row["phase"]): row["fabric_cycles"] for row in rows}
    reported = {(row["id"], p): row[f"{p}_cycles"] for row in data["stages"] for p in PHASES}
    assert phases.items() <= reported.items()


def test_simulate_steps_the_small_mesh(weft: Weft, small_plan: Path) -> None:
    """The machine that a first reader is told to try."""
    outcome = weft("simulate", small_plan, "--level", "fabric", "--json")
    assert outcome.code == 0
    assert any(row["stepped"] for row in json.loads(outcome.out)["stepped"])


def test_simulate_cannot_step_a_machine_without_multicast(weft: Weft, tmp_path: Path) -> None:
    assert weft("compile", "mlp", "--target", "dojo_d1", "-o", tmp_path / "p").code == 0
    outcome = weft("simulate", tmp_path / "p", "--level", "fabric")
    assert outcome.code == 2
    assert "dojo_d1, noc.multicast" in outcome.err


def test_simulate_refuses_an_unknown_level(weft: Weft, small_plan: Path) -> None:
    outcome = weft("simulate", small_plan, "--level", "event2")
    assert outcome.code == 2
    assert "did you mean 'event'" in outcome.err


def test_version_and_short_help(weft: Weft) -> None:
    for arguments, said in ((["--version"], "weft "), (["-h"], "Usage"), (["show", "-h"], "PLAN")):
        done = weft(*arguments)
        assert done.code == 0
        assert said in done.out
