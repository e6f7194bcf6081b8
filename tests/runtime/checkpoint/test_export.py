"""From a checkpoint in flight to the weights alone, which any torch program can load."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import weft
from helpers.plans_to_train import RECIPE, small_data
from weft.backend.errors import UserError
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.compiler.remap.mask_room import rooms
from weft.compiler.remap.new_map import new_map
from weft.runtime.checkpoint import drained, newest
from weft.runtime.data import Dataset

RIGL = {"algorithm": "rigl", "sparsity": 0.8, "drop_fraction": 0.5, "update": {"freq": 10}}


def small_plan(bytes_per_pe: int = 3200, **changes: object) -> Plan:
    target = {"name": "tiny_mesh", "overrides": {"sram.bytes_per_pe": str(bytes_per_pe)}}
    model = {"name": "mlp", "options": {"width": 32}}
    given = {**RECIPE, "model": model, "target": target, "sparsity": RIGL, **changes}
    return compile_recipe(make_recipe(given))


@pytest.fixture(scope="module")
def plan() -> Plan:
    return small_plan()


@pytest.fixture(scope="module")
def data() -> Dataset:
    """All pixels but those of two rows are 0."""
    whole = small_data(150)
    x = whole.x_train.copy()
    x[:, :, 2:] = 0
    return replace(whole, x_train=x)


def test_the_recipe_can_stop_such_a_run_which_leaves_a_checkpoint(
    plan: Plan, data: Dataset, tmp_path: Path
) -> None:
    stop = {"executor": "reference", "epochs": 2, "checkpoint": tmp_path}
    with pytest.raises(UserError, match="fullest PE need") as caught:
        weft.train(plan, data, settings=["training.new_map=stop"], **stop)
    start = newest(tmp_path)
    assert start.header.samples == 128
    assert str(start.path) in caught.value.change
    mended = new_map(drained(start))
    assert not any(room.needs_new_map for room in rooms(mended, mended.masks))
    with pytest.raises(UserError, match="fullest PE need"):
        weft.train(plan, data, resume=tmp_path)
    run = weft.train(plan, data, resume=tmp_path, settings=["training.new_map=warn"])
    whole = weft.train(plan, data, executor="reference", epochs=2)
    assert [new.room for new in run.new_maps] == [new.room for new in whole.new_maps]
    for name, value in whole.tensors.items():
        assert torch.equal(run.tensors[name], value), name
