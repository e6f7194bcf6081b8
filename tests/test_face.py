"""The face of the package: names that completion shows, and what a notebook cell prints."""

from __future__ import annotations

import html
import inspect
import pydoc
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import weft
from torch import nn
from weft.backend import errors as backend_errors
from weft.compiler.plan.files import as_document
from weft.compiler.plan.store import as_plan
from weft.errors import PlanFileError, UserError

EXAMPLES = (
    *("check", "compare", "compile", "diff", "explain", "load_recipe", "predict", "simulate"),
    *("train", "validate"),
)


@pytest.fixture(scope="module")
def plan() -> weft.Plan:
    sample = torch.zeros(1, 1, 8, 8), torch.zeros(1, dtype=torch.int64)
    model = weft.models.mlp(width=16)
    return weft.compile(model, sample, torch.nn.functional.cross_entropy, target="tiny_mesh")


def test_every_public_name_is_there_and_shown() -> None:
    assert sorted(weft.__all__) == dir(weft)
    for name in weft.__all__:
        assert getattr(weft, name) is not None, name


def test_listing_names_imports_nothing_heavy() -> None:
    script = "import sys, weft; dir(weft); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_plan_and_its_simulation_print_in_a_line(plan: weft.Plan) -> None:
    report = weft.simulate(plan, samples=50)
    assert repr(plan).startswith("Plan(MLP on tiny_mesh: 5 stages, ")
    assert repr(report).startswith("SimReport(MLP on tiny_mesh: 50 samples, ")
    assert len(repr(plan)) < 100 > len(repr(report))
    shown = plan._repr_html_()
    assert plan.summary() in html.unescape(shown)
    assert "<details><summary>floorplan</summary><svg" in shown
    assert "throughput" in report.summary()
    assert report._repr_html_().startswith("<pre>")


def test_a_run_prints_in_a_line(plan: weft.Plan) -> None:
    images = torch.randn(4, 1, 8, 8).numpy()
    labels = torch.arange(4).numpy()
    data = weft.Dataset("four", images, labels, images, labels, "none")
    run = weft.train(plan, data, executor="reference", epochs=1)
    assert repr(run).startswith("RunReport(reference: 4 samples at ")
    assert "loss" in repr(run)
    assert "speed" in run.summary()
    assert run.summary() in html.unescape(run._repr_html_())


def test_results_become_tables(plan: weft.Plan) -> None:
    report = weft.simulate(plan, samples=50)
    stages = plan.to_frame()
    assert list(stages["id"]) == [stage.id for stage in plan.document.stages]
    assert stages["macs_dense"].sum() == plan.document.totals.macs_dense
    simulated = report.to_frame()
    assert simulated["utilisation"].max() == max(row.utilisation for row in report.stages)
    assert "memory_per_pe.weights_bytes" in simulated or len(simulated.columns) > 9


def test_a_run_tells_how_far_it_is(plan: weft.Plan, capsys: pytest.CaptureFixture[str]) -> None:
    images, labels = torch.randn(4, 1, 8, 8).numpy(), torch.arange(4).numpy()
    told: list[int] = []
    data = weft.Dataset("four", images, labels, images, labels, "none")
    run = weft.train(
        plan,
        data,
        executor="reference",
        epochs=2,
        progress=True,
        on_progress=lambda progress: told.append(progress.samples),
    )
    shown = capsys.readouterr().err
    assert "train: sgdm, learning rate" in shown
    assert "8/8 samples" in shown
    assert told[-1] == 8
    assert list(run.to_frame()["samples"]) == [score.samples for score in run.scores]


def test_help_shows_no_address_and_an_example() -> None:
    functions = [
        getattr(weft, name) for name in weft.__all__ if inspect.isroutine(getattr(weft, name))
    ]
    assert len(functions) > 12
    for function in functions:
        text = pydoc.plain(pydoc.render_doc(function))
        assert " at 0x" not in text, function
        if function.__name__ in EXAMPLES:
            assert ">>> " in text, function
    assert " at 0x" not in pydoc.plain(pydoc.render_doc(weft.Options))


def test_the_functions_with_examples_are_there() -> None:
    assert set(EXAMPLES) <= set(weft.__all__)


def test_every_error_that_weft_raises_is_public() -> None:
    raised = {name for name, kind in vars(backend_errors).items() if isinstance(kind, type)}
    assert {name for name in raised if name.endswith("Error")} == set(weft.errors.__all__)
    assert UserError is backend_errors.UserError


def test_one_model_on_several_machines() -> None:
    sample = torch.zeros(1, 1, 8, 8), torch.zeros(1, dtype=torch.int64)
    model = weft.models.mlp(width=16)
    rows = weft.compare(model, sample, "cross_entropy", ("tiny_mesh", "wse2", "h200"), samples=50)
    assert [row.target for row in rows] == ["tiny_mesh", "wse2", "h200"]
    assert [row.basis for row in rows] == ["simulated", "simulated", "at best"]
    plan = weft.compile(model, sample, "cross_entropy", target="wse2")
    rate = weft.simulate(plan, samples=50).throughput_samples_per_s
    assert rows[1].figures is not None
    assert rows[1].figures.throughput_samples_per_s == rate
    assert repr(rows).startswith("Comparison(tiny_mesh ")
    assert str(rows).splitlines()[2].startswith("tiny_mesh  simulated")
    assert rows.summary() in html.unescape(rows._repr_html_())
    assert list(rows.to_frame()["target"]) == ["tiny_mesh", "wse2", "h200"]


def test_plans_are_checked_and_compared_as_they_are(plan: weft.Plan) -> None:
    assert weft.check(plan) == weft.check(plan.document) == ()
    assert weft.diff(plan, plan.document) == ()
    clock = replace(plan.document, clock_hz=1.0)
    assert [change.where for change in weft.diff(plan, clock)] == ["clock_hz"]
    assert weft.check(clock)
    changes = weft.diff(plan, clock)
    assert repr(changes) == "Changes(1 difference)"
    assert str(changes).startswith("~ clock_hz: ")
    assert str(changes) in html.unescape(changes._repr_html_())
    assert list(changes.to_frame()["where"]) == ["clock_hz"]
    assert repr(weft.diff(plan, plan)) == "Changes(the plans are equal)"
    assert "wse2" in weft.targets()


def test_an_explanation_and_a_validation_print_in_a_line(plan: weft.Plan) -> None:
    found = weft.explain(plan)
    assert repr(found).startswith("Explanation(MLP on tiny_mesh: 5 stages, bound by ")
    assert "more PEs for" in found.summary()
    assert len(found.to_frame()) == len(found.rows)
    report = weft.validate("reduce")
    assert repr(report).startswith(f"ValidationReport({len(report.points)} numbers, median error ")
    assert report.summary().splitlines()[2].startswith("reduce  cycles")
    assert len(report.to_frame()) == len(report.points)


def test_predictions_are_of_the_weights_that_training_gave(plan: weft.Plan) -> None:
    images, labels = torch.randn(8, 1, 8, 8).numpy(), torch.arange(8).numpy()
    run = weft.train(plan, (images, labels), executor="reference", epochs=1)
    trained = run.trained_plan(plan)
    before, after = (weft.predict(p, images, executor="reference")[0] for p in (plan, trained))
    assert (before != after).any()
    assert weft.check(trained) == ()


def test_a_directory_stands_for_its_plan(plan: weft.Plan, tmp_path: Path) -> None:
    plan.save(tmp_path / "p")
    for given in (tmp_path / "p", str(tmp_path / "p")):
        saved = as_document(given)
        assert as_plan(given).document == saved
        assert not weft.diff(given, plan)
        assert weft.simulate(given, 10).to_dict() == weft.simulate(plan, 10).to_dict()
        assert weft.check(given) == ()
        (scores,) = weft.predict(given, np.ones((2, 1, 8, 8), np.float32), executor="reference")
        assert scores.shape == (2, 10)


FUNCTIONS: list[Callable[..., object]] = [
    weft.check,
    weft.explain,
    weft.simulate,
    lambda given: weft.diff(given, given),
    lambda given: weft.predict(given, np.ones((2, 4), np.float32)),
    lambda given: weft.train(given, "digits"),
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_is_no_plan_is_refused(function: Callable[..., object], tmp_path: Path) -> None:
    with pytest.raises(PlanFileError, match="no such file"):
        function(str(tmp_path / "nothing"))
    for other in (nn.Linear(4, 3), None, 3):
        with pytest.raises(UserError, match="compile the model first") as error:
            function(other)
        assert error.value.got == f"a {type(other).__name__}"
