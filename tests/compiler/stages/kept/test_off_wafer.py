"""FIFOs with the host: what lies on the PEs, and that nothing else changes."""

from __future__ import annotations

from functools import cache

import pytest
import torch
import torch.nn.functional as F
from helpers.stages_of import LABEL
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from weft.backend.errors import UserError
from weft.compiler.pipeline import Options, compile_model
from weft.compiler.plan.check import check
from weft.compiler.plan.plan import Plan
from weft.compiler.plan.stage_record import SLOTS_OFF_WAFER
from weft.compiler.plan.store import load
from weft.compiler.targets import load_target

WSE2 = load_target("wse2", {"host.latency_s": "1e-6"})


@cache
def plan(off_wafer: int) -> Plan:
    torch.manual_seed(0)
    layers = [layer for _ in range(6) for layer in (nn.Linear(32, 32), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(32, 3))
    sample = torch.zeros(1, 32), LABEL
    return compile_model(model, sample, F.cross_entropy, WSE2, Options(off_wafer=off_wafer))


@given(st.integers(1, 200))
def test_four_samples_of_a_fifo_are_on_the_wafer_at_most(delay: int) -> None:
    """Counted: sample i is on the PEs in tick i, when it is written, and in the next, in which it
    leaves; in the tick before its backward, in which it comes back, and in that of the backward."""
    ticks = {tick for tick in (0, 1, delay - 1, delay) if 0 <= tick <= delay}
    held = max(sum(now - tick >= 0 for tick in ticks) for now in range(delay, delay + 3))
    assert held == min(delay + 1, SLOTS_OFF_WAFER)


@pytest.mark.parametrize("off_wafer", [2, 4, 8, 12, 20])
def test_stages_of_a_long_delay_hold_four_samples(off_wafer: int) -> None:
    kept, away = plan(0).document, plan(off_wafer).document
    for one, other in zip(kept.stages, away.stages, strict=True):
        slot = one.memory_per_pe.activation_fifo_bytes / one.fifo_depth
        leaves = other.delay >= max(off_wafer, 4)
        saved = plan(0).programs[one.program].saved_bytes
        assert other.off_wafer_bytes == (saved if leaves else 0)
        assert other.fifo_depth == one.fifo_depth == one.delay + 1 - one.backward_first
        if one.region.area == other.region.area:
            slots = 4 if leaves else one.fifo_depth
            assert other.memory_per_pe.activation_fifo_bytes == slots * slot
    assert away.fingerprint == kept.fingerprint
    assert check(away, WSE2, plan(off_wafer).programs) == ()


def test_a_plan_that_was_written_keeps_its_fifos_off_the_wafer(tmp_path) -> None:
    """Mapping its stages anew puts them there again."""
    plan(4).save(tmp_path / "p")
    again = load(tmp_path / "p")
    assert again.document.stages == plan(4).document.stages
    found = [stage.off_wafer for stage in again.stages.stages]
    assert found == [stage.delay >= 4 for stage in plan(4).document.stages]


def test_a_negative_delay_is_refused() -> None:
    with pytest.raises(UserError, match="off_wafer"):
        plan(-1)
