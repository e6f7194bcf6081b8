"""Augmented, normalized, split data in whole runs: the same with any workers, and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.changed_data import changed_plan, train
from helpers.plans_to_train import RECIPE, assert_same_end, small_data
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from weft.backend.errors import UserError
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.runtime.data import Dataset
from weft.runtime.reference.executor import ReferenceExecutor


@pytest.fixture(scope="module")
def plan() -> Plan:
    return changed_plan()


@pytest.fixture(scope="module")
def data() -> Dataset:
    return small_data()


def test_a_resumed_run_draws_what_the_whole_one_did_with_any_workers(
    plan: Plan, data: Dataset, tmp_path: Path
) -> None:
    whole = train(plan, data, checkpoint=tmp_path, every=20, keep=9)
    for workers in (0, 3):
        run = train(
            plan,
            data,
            resume=tmp_path / "step-000000040",
            checkpoint=tmp_path / str(workers),
            settings=[f"training.workers={workers}"],
        )
        assert_same_end(run, whole)


def test_what_is_fed_is_normalized_first_and_zeros_are_padded_after(
    plan: Plan, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed: list[np.ndarray] = []
    feed = ReferenceExecutor.feed

    def watched(self: ReferenceExecutor, inputs: Any) -> Any:
        fed.append(np.asarray(inputs[0]))
        return feed(self, inputs)

    monkeypatch.setattr(ReferenceExecutor, "feed", watched)
    train(plan, data)
    rows = np.concatenate(fed)
    assert rows.shape == (90, 1, 8, 8)
    known = {image.tobytes() for x in data.x_train for image in crops((x[0] - 0.1) / 2)}
    assert all(row[0].tobytes() in known for row in rows)
    assert not np.array_equal(np.sort(rows[:45], axis=None), np.sort(rows[45:], axis=None))


def crops(image: np.ndarray) -> list[np.ndarray]:
    padded = np.pad(image.astype(np.float32), 1)
    found = [padded[d : d + 8, r : r + 8] for d in range(3) for r in range(3)]
    return [np.ascontiguousarray(a) for crop in found for a in (crop, crop[:, ::-1])]


def test_the_test_part_is_read_once(plan: Plan, data: Dataset) -> None:
    run = train(plan, data)
    parts = [(score.samples, score.part) for score in run.scores]
    assert parts == [(45, "validation"), (90, "validation"), (90, "validation"), (90, "test")]
    assert run.accuracies == ((90, run.test_accuracy),)
    assert 0 <= run.validation_loss < 5
    assert all(0 < score.more["top2"] <= 1 for score in run.scores)


class Noisy(TorchDataset):
    """Items with noise drawn anew each time."""

    def __init__(self, data: Dataset) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data.x_train)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        noise = torch.rand(1, 8, 8)
        return torch.from_numpy(self.data.x_train[index]) + noise, int(self.data.y_train[index])


def test_a_loader_with_noise_of_its_own_resumes_to_the_bit(data: Dataset, tmp_path: Path) -> None:
    plan = compile_recipe(make_recipe(RECIPE))
    loader = DataLoader(Noisy(data), batch_size=8, shuffle=True)
    whole = train(plan, loader, checkpoint=tmp_path, every=50, keep=9)
    assert whole.data_wait_s >= 0
    run = train(plan, loader, resume=tmp_path / "step-000000050", checkpoint=tmp_path / "b")
    assert_same_end(run, whole)
    assert np.isnan(run.test_accuracy)


class Wrong(Noisy):
    """The label of one item has no score."""

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        x, y = super().__getitem__(index)
        return x, 7 if index == 50 else y


def test_a_label_without_a_score_is_refused_where_it_is_read(data: Dataset) -> None:
    with pytest.raises(UserError, match="labels from 0 to 2"):
        train(compile_recipe(make_recipe(RECIPE)), Wrong(data))
