"""Self-paced orders in whole runs: against a random order, an independent loop, and resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import weft
from helpers.plans_to_train import RECIPE, assert_same_end, small_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from weft.backend.errors import UserError
from weft.backend.pacing import cluster
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.runtime.data import Dataset
from weft.runtime.training.report import RunReport

pytest.importorskip("sklearn")

PACED = (
    "data.sampler=self_paced",
    "data.sampler.clusters=2",
    "data.sampler.embedding_epochs=1",
    "data.sampler.most_per_cluster=6",
)
EPOCHS = 4


@pytest.fixture(scope="module")
def plan() -> Plan:
    return compile_recipe(make_recipe(RECIPE))


@pytest.fixture(scope="module")
def data() -> Dataset:
    return small_data()


def train(plan: Plan, data: object, *settings: str, **options: Any) -> RunReport:
    chosen = {"executor": "reference", "epochs": EPOCHS, **options}
    return weft.train(plan, data, settings=settings, **chosen)


def test_a_pace_that_takes_all_is_the_random_order_to_the_bit(plan: Plan, data: Dataset) -> None:
    paced = train(plan, data, *PACED, "data.sampler.most_per_cluster=null")
    assert_same_end(paced, train(plan, data))
    assert [ended.samples for ended in paced.passes] == [60] * EPOCHS


@pytest.mark.parametrize("executor", ["reference", "jax"])
@pytest.mark.parametrize("mode", ["pipelined", "sequential"])
def test_each_pass_takes_the_least_losses_that_had_come_out(
    plan: Plan, data: Dataset, mode: str, executor: str
) -> None:
    """An independent loop chooses passes from the losses of the report, and the tick's delay."""
    if executor == "jax":
        pytest.importorskip("jax")
    inputs = "data.sampler.embedding_epochs=0"
    run = train(plan, data, *PACED, inputs, executor=executor, mode=mode)
    clusters = cluster(data.x_train.reshape(60, -1), data.y_train, 2, seed=0)
    late = len(plan.document.stages) - 1 if mode == "pipelined" else 0
    known, fed, number, begin = np.zeros(60), [], 0, 0
    most = 6
    for ended in run.passes:
        taken = list(range(60))
        if number:
            taken = []
            for name in np.unique(clusters):
                own = np.flatnonzero(clusters == name)
                taken += sorted(own, key=lambda i: (known[i], i))[:most]
            most = round(most * 1.1)
        order = np.random.default_rng((0, number)).permutation(sorted(taken))
        assert (ended.number, ended.samples) == (number, len(taken))
        counts = {int(c): int((clusters[taken] == c).sum()) for c in np.unique(clusters)}
        assert ended.by_cluster == counts
        fed += list(order)
        for place in range(begin, len(fed) - late):
            known[fed[place]] = run.losses[place]
        begin, number = len(fed) - late, number + 1
        left_out = np.setdiff1d(np.arange(60), taken)
        assert ended.left_out == len(left_out)
        if len(left_out) and not late:
            assert ended.mean_loss_left_out == pytest.approx(known[left_out].mean())
    assert number > EPOCHS
    assert len(run.losses) == EPOCHS * 60


@pytest.mark.parametrize(("executor", "steps"), [("reference", (31, 62, 93, 186)), ("jax", (93,))])
def test_it_resumes_to_the_bit_from_anywhere(
    plan: Plan, data: Dataset, tmp_path: Path, executor: str, steps: tuple[int, ...]
) -> None:
    """Within a pass, and where the losses of one pass come out in the next."""
    if executor == "jax":
        pytest.importorskip("jax")
    written = {"checkpoint": tmp_path / "whole", "every": 31, "keep": 99, "executor": executor}
    settings = (*PACED, "augmentation={flip: true}")
    whole = train(plan, data, *settings, **written)
    lines = (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()
    for samples in steps:
        rest = tmp_path / str(samples)
        step = tmp_path / "whole" / f"step-{samples:09d}"
        run = weft.train(plan, data, resume=step, checkpoint=rest)
        assert_same_end(run, whole)
        assert str(run.passes) == str(whole.passes[len(whole.passes) - len(run.passes) :])
        own = (rest / "metrics.jsonl").read_text().splitlines()
        for mine, its in zip(own, lines[-len(own) :], strict=True):
            assert _untimed(mine) == _untimed(its)
    passes = [record for line in lines if "pass" in (record := json.loads(line))]
    assert [record["pass"] for record in passes] == [ended.number for ended in whole.passes]
    for record, ended in zip(passes, whole.passes, strict=True):
        assert record["pass_samples"] == ended.samples
        assert {c["class"]: c["samples"] for c in record["pass_classes"]} == ended.by_class
        assert {c["cluster"]: c["samples"] for c in record["pass_clusters"]} == ended.by_cluster


def _untimed(line: str) -> dict[str, Any]:
    return {name: value for name, value in json.loads(line).items() if name != "samples_per_s"}


def test_a_checkpoint_of_one_order_is_not_of_the_other(
    plan: Plan, data: Dataset, tmp_path: Path
) -> None:
    train(plan, data, checkpoint=tmp_path / "random", epochs=1)
    with pytest.raises(UserError, match="random, with which the run began"):
        train(plan, data, *PACED, resume=tmp_path / "random", epochs=2)
    train(plan, data, *PACED, checkpoint=tmp_path / "paced", epochs=1)
    with pytest.raises(UserError, match="self_paced, with which the run began"):
        train(plan, data, "data.sampler=random", resume=tmp_path / "paced", epochs=2)


def test_data_that_cannot_be_paced_are_refused_before_anything_runs(
    plan: Plan, data: Dataset
) -> None:
    x, y = data.x_train, data.y_train
    with pytest.raises(UserError, match=r"at most 1[0-9], its samples"):
        train(plan, data, *PACED, "data.sampler.clusters=50")
    with pytest.raises(UserError, match="one class each"):
        train(plan, (x, y + 0.5), *PACED)
    with pytest.raises(UserError, match="1 array to train"):
        train(plan, (x,), *PACED)
    loader = DataLoader(TensorDataset(torch.as_tensor(x), torch.as_tensor(y)))
    with pytest.raises(UserError, match="in its own order"):
        train(plan, loader, *PACED)


class Autoencoder(nn.Module):
    """Returns its own loss; its data have no labels."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.layer(x) - x).square().mean()


def test_data_without_labels_are_refused() -> None:
    plan = weft.compile(Autoencoder(), (torch.zeros(1, 4),), None, "tiny_mesh")
    x = np.ones((8, 4), np.float32)
    assert len(train(plan, x, epochs=1).losses) == 8
    with pytest.raises(UserError, match="one class each"):
        train(plan, x, "data.sampler=self_paced", epochs=1)


def test_the_threshold_of_a_recipe_reaches_the_sampler(plan: Plan, data: Dataset) -> None:
    settings = (*PACED, "data.sampler.most_per_cluster=null", "data.sampler.diversity=0")
    run = train(plan, data, *settings, "data.sampler.threshold=0.9", mode="sequential")
    second = run.passes[1]
    assert second.samples == int((run.losses[:60] < 0.9).sum())
