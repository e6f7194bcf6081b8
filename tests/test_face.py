"""The face of the package: names that completion shows, and what a notebook cell prints."""

from __future__ import annotations

import html
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import weft


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
    assert plan.summary() in plan._repr_html_().replace("&#x27;", "'")
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


def test_plans_are_checked_and_compared_as_they_are(plan: weft.Plan) -> None:
    assert weft.check(plan) == weft.check(plan.document) == ()
    assert weft.diff(plan, plan.document) == ()
    clock = replace(plan.document, clock_hz=1.0)
    assert [change.where for change in weft.diff(plan, clock)] == ["clock_hz"]
    assert weft.check(clock)
    assert "wse2" in weft.targets()
    assert callable(weft.explain)
