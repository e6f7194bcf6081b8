"""What is skipped while nothing moves: no cycle in which a core begins, or ends computing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from weft.compiler.targets import load_target
from weft.sim.fabric import FabricRegion, Instruction, Port, run
from weft.sim.fabric.loop import simulate
from weft.sim.fabric.slices import Copies, middle_region

WSE3 = load_target("wse3")


def _stepped(region: FabricRegion, monkeypatch: pytest.MonkeyPatch):
    """With waits skipped, and with every cycle in which words wait for room looked at."""
    skipping = run(region, WSE3)
    monkeypatch.setitem(run.__globals__, "simulate", lambda *given: simulate(*given[:-1], 2**20))
    return skipping, run(region, WSE3)


@pytest.mark.parametrize("turning", range(8))
@pytest.mark.parametrize("words", [8, 9, 10, 30])
def test_a_core_may_begin_in_the_cycle_after_the_last_that_is_looked_at(
    words, turning, monkeypatch
):
    region = middle_region(Copies(3, 2, words), range(2), WSE3, turning)
    skipping, looking = _stepped(region, monkeypatch)
    assert not skipping.stuck
    assert skipping.cycles == looking.cycles
    assert (skipping.finish == looking.finish).all()


@pytest.mark.parametrize("setup", [0, 9])
@pytest.mark.parametrize("cycles", range(28, 44))
def test_a_core_may_end_what_it_computes_in_that_cycle(cycles, setup, monkeypatch):
    """Its neighbour has more words for it than queues hold."""
    region = FabricRegion(1, 2, 1)
    region.route(0, 0, 0, Port.RAMP, [Port.EAST])
    region.route(0, 1, 0, Port.WEST, [Port.RAMP])
    region.program(0, 0, Instruction.send(40, 0))
    computes = replace(Instruction.compute(cycles), setup=setup)
    region.program(0, 1, computes, Instruction.receive(40, 0))
    skipping, looking = _stepped(region, monkeypatch)
    assert not skipping.stuck
    assert (skipping.finish == looking.finish).all()
