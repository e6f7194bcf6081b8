"""A small plan that trains, data for it, and runs that can be compared to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import weft
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.runtime.checkpoint import Header, Score
from weft.runtime.data import Dataset
from weft.runtime.training.report import RunReport

RECIPE = {
    "model": {"name": "mlp", "options": {"width": 8}},
    "input": {"shape": [1, 8, 8], "classes": 3},
    "sparsity": 0.5,
    "optimizer": {
        "lr": 0.01,
        "momentum": 0.9,
        "reference_batch_size": None,
        "schedule": {"kind": "cosine", "warmup": 0.1},
    },
    "target": "tiny_mesh",
}

HEADER = Header(
    "0", "p", "reference", "pipelined", {}, "d", "0", 10, 0, 3, (Score(2, 0.5, 1.0),), 5, 2
)


def small_plan() -> Plan:
    """A sparse perceptron with Online Normalization, momentum and sc+lwp."""
    return compile_recipe(make_recipe(RECIPE))


def small_data(train: int = 60, test: int = 12) -> Dataset:
    """Three classes, told apart by the mean of a sample."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, train + test)
    noise = generator.standard_normal((train + test, 1, 8, 8))
    x = (noise + (labels - 1.0).reshape(-1, 1, 1, 1)).astype(np.float32)
    return Dataset("small", x[:train], labels[:train], x[train:], labels[train:], "none")


def assert_same_end(run: RunReport, whole: RunReport) -> None:
    """Weights, tests and the losses since the resumption are those of the whole run, to the bit."""
    assert run.tensors.keys() == whole.tensors.keys()
    for name, value in whole.tensors.items():
        assert torch.equal(run.tensors[name], value), name
    assert run.scores == whole.scores
    assert run.first_loss + len(run.losses) == len(whole.losses)
    np.testing.assert_array_equal(run.losses, whole.losses[run.first_loss :])


EPOCHS, EVERY = 3, 25
"""Of runs that are stopped, and samples between their checkpoints."""


def whole_run(plan: Plan, data: Dataset, **options: object) -> RunReport:
    """A run that is not stopped."""
    return weft.train(plan, data, executor="reference", epochs=EPOCHS, **options)


def checkpoints_of(plan: Plan, data: Dataset, directory: Path) -> Path:
    """All checkpoints of a whole run."""
    whole_run(plan, data, checkpoint=directory, every=EVERY, keep=99)
    return directory
