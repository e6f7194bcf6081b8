"""What is skipped while nothing moves: no cycle in which a core begins, or ends computing."""

from __future__ import annotations

import pytest
from weft.compiler.targets import load_target
from weft.sim.fabric import FabricRegion, Instruction, Port, run
from weft.sim.fabric.loop import simulate

WSE3 = load_target("wse3")


def _stepped(monkeypatch: pytest.MonkeyPatch, setup: int, computes: int):
    """The second of three PEs waits for a word of the third, which computes before, and has a
    `setup` until it takes the first one's words, more than queues hold: stepped with waits skipped,
    and with every cycle looked at in which words wait for room."""
    region = FabricRegion(1, 3, 2)
    region.route(0, 0, 0, Port.RAMP, [Port.EAST])
    region.route(0, 1, 0, Port.WEST, [Port.RAMP])
    region.route(0, 2, 1, Port.RAMP, [Port.WEST])
    region.route(0, 1, 1, Port.EAST, [Port.RAMP])
    region.program(0, 0, Instruction.send(40, 0))
    region.program(0, 1, Instruction.receive(1, 1), Instruction.receive(40, 0, setup))
    region.program(0, 2, Instruction.compute(computes), Instruction.send(1, 1))
    skipping = run(region, WSE3)
    monkeypatch.setitem(run.__globals__, "simulate", lambda *given: simulate(*given[:-1], 2**20))
    return skipping, run(region, WSE3)


@pytest.mark.parametrize("setup", range(24))
def test_a_core_may_begin_in_the_cycle_after_the_last_that_is_looked_at(setup, monkeypatch):
    skipping, looking = _stepped(monkeypatch, setup, 20)
    assert not skipping.stuck
    assert (skipping.finish == looking.finish).all()


@pytest.mark.parametrize("computes", range(20, 44))
def test_a_core_may_end_what_it_computes_in_that_cycle(computes, monkeypatch):
    skipping, looking = _stepped(monkeypatch, 0, computes)
    assert not skipping.stuck
    assert (skipping.finish == looking.finish).all()
