"""Runs whose masks outgrow the map of their plan: said, logged, and stopped if the recipe says so.

The machine is small, and most inputs are 0, as at the borders of an image: RigL grows where
gradients are, so the tiles that hold the other inputs fill up.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import weft
from helpers.outgrown_plan import RIGL, outgrown_data, outgrown_plan
from helpers.plans_to_train import small_data
from weft.compiler.plan.plan import Plan
from weft.compiler.remap.mask_room import rooms
from weft.runtime.data import Dataset


@pytest.fixture(scope="module")
def plan() -> Plan:
    return outgrown_plan()


@pytest.fixture(scope="module")
def data() -> Dataset:
    return outgrown_data()


def test_a_run_says_which_stage_outgrew_its_map_when_and_by_how_much(
    plan: Plan, data: Dataset, tmp_path: Path
) -> None:
    seen = []
    run = weft.train(
        plan, data, executor="reference", epochs=1, on_progress=seen.append, log=tmp_path
    )
    (new,) = run.new_maps
    assert new.samples == 128  # the first chunk
    assert new.room.stage == plan.document.stages[0].id
    assert new.room.nonzeros > new.room.capacity
    assert new.room.needed_bytes > new.room.capacity_bytes
    assert [progress.new_maps for progress in seen] == [1] * len(seen)
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [record.get("new_maps") for record in records] == [[new.data()], None, None]
    assert not any("refused_growth" in record for record in records)  # free growth refuses none
    ends = {room.stage for room in rooms(plan, run.masks) if room.needs_new_map}
    assert ends == {new.room.stage}


def test_masks_that_fit_raise_no_alarm() -> None:
    plan = outgrown_plan(bytes_per_pe=4096)
    run = weft.train(plan, small_data(150), executor="reference", epochs=1)
    assert any(not torch.equal(mask, plan.masks[name]) for name, mask in run.masks.items())
    assert run.new_maps == ()


def test_gmp_that_lets_weights_grow_back_and_a_dense_phase_need_a_new_map(data: Dataset) -> None:
    rising = {"type": "linear", "init": 0.9, "slope": -0.01}
    gmp = outgrown_plan(sparsity={"algorithm": "gmp", "sparsity": rising, "update": {"freq": 10}})
    assert weft.train(gmp, data, executor="reference", epochs=1).new_maps
    spdf = outgrown_plan(sparsity=0.9, phases=[{"epochs": 1}, {"epochs": 1, "dense": True}])
    run = weft.train(spdf, data, executor="reference")
    assert {new.samples for new in run.new_maps} == {150}
    first = spdf.document.stages[0]
    assert first.id in {new.room.stage for new in run.new_maps}


@pytest.mark.parametrize("executor", ["reference", "jax"])
def test_growth_where_there_is_room_never_asks_for_a_new_map(
    data: Dataset, executor: str, tmp_path: Path
) -> None:
    plan = outgrown_plan(sparsity={**RIGL, "growth": "room"})
    run = weft.train(plan, data, executor=executor, epochs=2, log=tmp_path)
    assert run.new_maps == ()
    assert not any(room.needs_new_map for room in rooms(plan, run.masks))
    assert sum(run.refused_growth.values()) > 0
    assert run.refused_growth.keys() <= plan.masks.keys()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    logged = [json.loads(line)["refused_growth"] for line in lines]
    assert logged == sorted(logged)
    assert logged[-1] == sum(run.refused_growth.values())
    for name, mask in plan.masks.items():
        assert int(run.masks[name].sum()) == int(mask.sum())
    assert any(not torch.equal(mask, plan.masks[name]) for name, mask in run.masks.items())


def test_growth_at_the_plan_s_pace_leaves_no_pe_fuller_than_the_fullest(data: Dataset) -> None:
    plan = outgrown_plan(sparsity={**RIGL, "growth": "pace"})
    run = weft.train(plan, data, executor="reference", epochs=1)
    assert sum(run.refused_growth.values()) > 0
    for before, after in zip(rooms(plan, plan.masks), rooms(plan, run.masks), strict=True):
        assert after.nonzeros <= before.nonzeros
    free = weft.train(outgrown_plan(sparsity=RIGL), data, executor="reference", epochs=1)
    assert any(
        after.nonzeros > before.nonzeros
        for before, after in zip(rooms(plan, plan.masks), rooms(plan, free.masks), strict=True)
    )
