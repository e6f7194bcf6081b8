"""From a checkpoint in flight to the weights alone, which any torch program can load."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import weft
from helpers.outgrown_plan import outgrown_data, outgrown_plan
from weft.backend.errors import UserError
from weft.compiler.plan.plan import Plan
from weft.compiler.remap.mask_room import rooms
from weft.compiler.remap.new_map import new_map
from weft.runtime.checkpoint import drained, newest
from weft.runtime.data import Dataset


@pytest.fixture(scope="module")
def plan() -> Plan:
    return outgrown_plan()


@pytest.fixture(scope="module")
def data() -> Dataset:
    return outgrown_data()


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
