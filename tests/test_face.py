"""The face of the package: names that completion shows, and what a notebook cell prints."""

from __future__ import annotations

import subprocess
import sys

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
