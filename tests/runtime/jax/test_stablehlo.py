"""Exported StableHLO, run without weft's executors, against the reference."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.jobs import perceptron_job, samples, skip_net_job
from weft.backend.errors import UnknownNameError
from weft.runtime.reference.executor import ReferenceExecutor
from weft.runtime.tick.job import Job

pytest.importorskip("jax")

from weft.runtime.jax.stablehlo import Exported, export_forward, export_stage, save


def called(exported: Exported, given: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The exported program on arguments by name."""
    return [
        np.asarray(v)
        for v in exported.program.call(*(given[name] for name, _ in exported.arguments))
    ]


def values(job: Job) -> dict[str, np.ndarray]:
    stages = job.stages.stages
    names = {name for stage in stages for name in (*stage.parameters, *stage.forward_state)}
    return {name: job.start(name).numpy() for name in names}


def test_whole_forward_predicts_what_the_reference_does() -> None:
    """A residual net with state; it does not ask for the label, which predictions do not need."""
    job = skip_net_job("none")
    exported = export_forward(job.stages)
    x, y = samples(job, 1)
    (got,) = called(exported, {**values(job), "input 0": x.reshape(1, 1, 6, 6)})
    (expected,) = ReferenceExecutor(job).evaluate([x, y])
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    assert [name for name, _ in exported.arguments if name.startswith("input")] == ["input 0"]


def test_stage_gives_outputs_and_what_its_backward_needs() -> None:
    job = perceptron_job("none")
    stage = job.stages.stages[1]
    exported = export_stage(job.stages, stage.name)
    torch.manual_seed(0)
    (x,) = (torch.randn(spec.shape) for spec in stage.program.inputs)
    got = called(exported, {**values(job), "input 0": x.numpy()})
    expected = stage.program.forward(*(job.start(name) for name in stage.parameters), x)
    assert len(got) == len(expected) == len(exported.results)
    for mine, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-5, atol=1e-6)


def test_unknown_stage_is_a_message() -> None:
    with pytest.raises(UnknownNameError, match="no such"):
        export_stage(perceptron_job("none").stages, "no such")


def test_files_hold_the_program_and_its_arguments_in_order(tmp_path: Path) -> None:
    job = perceptron_job("none")
    exported = export_stage(job.stages, job.stages.stages[0].name)
    written = save(exported, tmp_path / "new", "s00:first")
    assert [path.name for path in written] == ["s00-first.mlir", "s00-first.json"]
    assert "stablehlo.dot_general" in written[0].read_text()
    listed = json.loads(written[1].read_text())
    assert [entry["name"] for entry in listed["arguments"]] == ["0.bias", "0.weight", "input 0"]
    assert [entry["shape"] for entry in listed["arguments"]] == [[16], [16, 9], [1, 9]]
    assert len(list((tmp_path / "new").iterdir())) == 2
