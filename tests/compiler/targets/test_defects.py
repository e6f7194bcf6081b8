"""Dead, spare and slow cores: what a program sees, and that no defect makes a plan faster."""

from __future__ import annotations

import pytest
import torch
import yaml
from helpers.meshes_with_defects import PERFECT, interval_for, plan_for, with_defects
from helpers.stages_of import stages_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from weft.backend.errors import UserError
from weft.compiler.plan.check import check
from weft.compiler.targets import load_target

ROWS, COLUMNS = PERFECT.rows, PERFECT.columns
CORES = st.tuples(st.integers(0, ROWS - 1), st.integers(0, COLUMNS - 1))


def test_spare_rows_make_up_for_dead_ones_until_they_are_used_up():
    one = with_defects(dead_cores=(3, 5), spare_rows=1)
    assert one.working_rows == (0, 1, 2, *range(4, ROWS + 1))
    assert one.pes == PERFECT.pes
    two = with_defects(dead_cores=(3, 5, 3, 9, 7, 0), spare_rows=1)
    assert two.rows == ROWS - 1
    assert 3 not in two.working_rows
    assert 7 not in two.working_rows


def test_a_core_that_is_too_slow_counts_as_dead():
    assert with_defects(slow_cores=(4, 4, 40)).rows == ROWS
    assert with_defects(slow_cores=(4, 4, 40), least_speed_percent=50).rows == ROWS - 1


@settings(deadline=None, max_examples=12)
@given(st.lists(CORES, max_size=6), CORES, st.integers(0, 2))
def test_dead_cores_never_make_a_plan_faster_and_spare_rows_never_slower(cores, more, spares):
    flat = tuple(number for core in cores for number in core)
    plain = interval_for(with_defects(dead_cores=flat))
    assert plain >= interval_for(PERFECT)
    assert interval_for(with_defects(dead_cores=(*flat, *more))) >= plain
    assert interval_for(with_defects(dead_cores=flat, spare_rows=spares)) <= plain


@settings(deadline=None, max_examples=12)
@given(st.lists(CORES, min_size=1, max_size=4), st.integers(1, 100))
def test_slow_cores_never_make_a_plan_faster(cores, percent):
    flat = tuple(number for core in cores for number in (*core, percent))
    assert interval_for(with_defects(slow_cores=flat)) >= interval_for(PERFECT)


def test_cores_at_half_speed_take_twice_the_cycles_for_arithmetic_only():
    every = tuple(n for row in range(ROWS) for column in range(COLUMNS) for n in (row, column, 50))
    target = with_defects(slow_cores=every)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    stages = stages_of(model, torch.zeros(1, 64))  # the same tilings suit both speeds
    slow = plan_for(target, stages)
    assert check(slow, target) == ()
    full = plan_for(with_defects(slow_cores=tuple(100 if n == 50 else n for n in every)), stages)
    assert [s.region for s in slow.stages] == [s.region for s in full.stages]
    for a, b in zip(slow.stages, full.stages, strict=True):
        pairs = list(zip(a.operators, b.operators, strict=True))
        assert all(x.compute_cycles == 2 * y.compute_cycles for x, y in pairs)
        assert all(x.network_cycles == y.network_cycles for x, y in pairs)


def test_a_plan_keeps_within_the_rows_that_are_left():
    target = with_defects(dead_cores=(2, 2, 9, 1))
    plan = plan_for(target)
    assert plan.grid == (ROWS - 2, COLUMNS)
    assert check(plan, target) == ()
    assert all(s.region.row + s.region.height <= ROWS - 2 for s in plan.stages)


@pytest.mark.parametrize(
    "defects",
    [
        {"dead_cores": [3]},
        {"slow_cores": [3, 4]},
        {"dead_cores": [16, 0]},
        {"slow_cores": [0, 16, 50]},
        {"dead_cores": [n for row in range(16) for n in (row, 0)]},
    ],
)
def test_defects_that_cannot_be_are_refused(tmp_path, defects):
    from importlib import resources

    text = (resources.files("weft.compiler.targets") / "tiny_mesh.yaml").read_text()
    known = {"source": "test", "confidence": "assumed"}
    block = {key: {"value": value, **known} for key, value in defects.items()}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(text) | {"defects": block}))
    with pytest.raises(UserError, match="defects"):
        load_target(str(path))
