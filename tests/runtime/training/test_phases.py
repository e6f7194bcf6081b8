"""SPDF: sparse pre-training and dense fine-tuning as two phases of one recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import weft
from helpers.plans_to_train import RECIPE, small_data
from weft.backend.errors import UserError
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.runtime.training.interrupt import Interrupted
from weft.runtime.training.phases import phase_plan
from weft.runtime.training.report import RunReport

RIGL = {"algorithm": "rigl", "sparsity": 0.6, "update": {"freq": 20}}
PHASES = [{"epochs": 2}, {"epochs": 1, "dense": True, "optimizer": {"lr": 0.002}}]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return compile_recipe(make_recipe({**RECIPE, "sparsity": RIGL, "phases": PHASES}))


@pytest.fixture(scope="module")
def pretrained(plan: Plan) -> RunReport:
    return weft.train(plan, small_data(), executor="reference", settings=["phases=[{epochs: 2}]"])


@pytest.fixture(scope="module")
def whole(plan: Plan) -> RunReport:
    return weft.train(plan, small_data(), executor="reference")


def test_the_second_phase_starts_from_the_first_with_every_pruned_weight_at_zero(
    plan: Plan, pretrained: RunReport
) -> None:
    recipe = make_recipe(plan.document.recipe)
    second = phase_plan(plan, recipe, 1, pretrained)
    moved = 0
    for name, mask in pretrained.masks.items():
        moved += int((mask != plan.masks[name]).sum())
        assert second.masks[name].all()
        assert (second.tensors[name][~mask] == 0).all()
        assert torch.equal(second.tensors[name], pretrained.tensors[name])
    assert moved > 0  # the masks are those that RigL ended with
    assert second.document.recipe["sparsity"] is None
    assert second.document.recipe["optimizer"]["lr"] == 0.002
    assert second.document.recipe["optimizer"]["momentum"] == 0.9


def test_two_phases_are_two_runs_with_new_optimizer_state(
    plan: Plan, pretrained: RunReport, whole: RunReport
) -> None:
    """Starting anew from the weights alone gives the same: no momentum is carried over."""
    recipe = make_recipe(plan.document.recipe)
    second = weft.train(phase_plan(plan, recipe, 1, pretrained), small_data(), executor="reference")
    for name, value in second.tensors.items():
        assert torch.equal(whole.tensors[name], value), name
    np.testing.assert_array_equal(whole.losses, np.concatenate([pretrained.losses, second.losses]))
    assert whole.epochs == 3
    assert [s.samples for s in whole.scores][-1] == 180
    assert whole.test_accuracy == second.test_accuracy


def test_revived_weights_train(pretrained: RunReport, whole: RunReport) -> None:
    for name, mask in pretrained.masks.items():
        assert (whole.tensors[name][~mask] != 0).any(), name  # dead units stay at 0


def test_phases_resume_to_the_bit(plan: Plan, whole: RunReport, tmp_path: Path) -> None:
    data, fed = small_data(), []

    def stop(progress) -> None:
        fed.append(progress.samples)
        if progress.total == 60 and progress.samples >= 20:
            raise KeyboardInterrupt

    options = {"executor": "reference", "checkpoint": tmp_path, "every": 10}
    with pytest.raises((KeyboardInterrupt, Interrupted)):
        weft.train(plan, data, on_progress=stop, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["phase-1", "phase-2"]
    run = weft.train(plan, data, resume=tmp_path)
    assert run.losses.size < whole.losses.size
    for name, value in whole.tensors.items():
        assert torch.equal(run.tensors[name], value), name
    assert run.scores == whole.scores


def test_phases_can_be_switched_off_and_wrong_keys_are_refused(plan: Plan) -> None:
    data = small_data()
    plain = weft.train(plan, data, executor="reference", epochs=1, settings=["phases=[]"])
    assert plain.epochs == 1
    with pytest.raises(UserError, match=r"optimizer\.rate"):
        weft.train(plan, data, settings=["phases=[{epochs: 1, optimizer: {rate: 1}}]"])
    bad = replace(plan, document=replace(plan.document, recipe={**RECIPE, "phases": [{}]}))
    with pytest.raises(UserError, match="epochs"):
        weft.train(bad, data)
