"""A model under any setting: its stages, their prices, and what they need of the machine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.fitting import LARGE, compiled_with, fitting_of, small
from weft.compiler.fit.setting import BYTES, PES, Fitting, Limits, Setting
from weft.compiler.plan.training import Training


@pytest.mark.parametrize("limits", [Limits(max_stages=3), Limits(max_delay=4), Limits(1)])
def test_automatic_stages_keep_their_limits(limits):
    """A delay of 4 updates at the first of S stages is 2 (S - 1): at most 3 stages."""
    plan = compiled_with((2, 8, 8), small(rows=64, columns=64), granularity="auto", limits=limits)
    assert len(plan.document.stages) == limits.stages
    assert plan.delays()[0] == 2 * (limits.stages - 1)
    assert plan.document.granularity == "auto"


def test_automatic_stages_keep_the_memory_of_fifos():
    fitting, target = fitting_of(*LARGE), small(rows=64, columns=64)
    counts = []
    for share in (1.0, 0.01, 0.0001):
        setting = Setting(target, limits=Limits(activation_memory=share))
        stages = fitting.stages(setting)
        held = sum((stages.delay(s.index) + 1) * s.program.saved_bytes for s in stages.stages)
        counts.append(len(stages))
        assert len(stages) == 1 or held <= share * target.all_pes * target.capacity_bytes
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_demand_is_in_bytes_until_every_stage_fits_a_pe():
    units = [
        fitting_of(*LARGE).demand(Setting(small(rows=size, columns=size))).unit for size in (2, 256)
    ]
    assert units == [BYTES, PES]


def test_demand_of_automatic_stages_is_that_of_their_chain_whatever_was_asked_before():
    """Four wafers hold the FIFOs of more stages than one: other stages, with needs of their own."""
    one, four = (
        Setting(
            replace(small(rows=8, columns=8), wafers=wafers), limits=Limits(activation_memory=0.5)
        )
        for wafers in (1, 4)
    )
    graph = fitting_of(*LARGE).graph
    asked = (one, four, one)
    together = Fitting(graph, Training())
    found = [together.demand(setting) for setting in asked]
    assert found == [Fitting(graph, Training()).demand(setting) for setting in asked]
    assert [demand.unit for demand in found] == [PES, BYTES, PES]
    assert len(together.stages(one)) < len(together.stages(four))
