"""Routes and programs that cannot be are refused when they are made."""

from __future__ import annotations

import pytest
from weft.backend.errors import UserError
from weft.compiler.targets import load_target
from weft.sim.fabric import FabricRegion, Instruction, Port, chain, run

WSE2 = load_target("wse2")


@pytest.mark.parametrize("colour", [-1, 2, 10**9])
def test_a_colour_that_does_not_exist(colour):
    region = FabricRegion(1, 2, colours=2)
    with pytest.raises(UserError, match="one of the region's 2 colours"):
        region.route(0, 0, colour, Port.RAMP, [Port.EAST])
    for step in (Instruction.send(4, colour), Instruction.receive(4, colour)):
        with pytest.raises(UserError, match=f"colour {colour} at row 0, column 1"):
            region.program(0, 1, step)


def test_words_through_no_link():
    with pytest.raises(UserError, match="one output or more"):
        FabricRegion(1, 2, colours=1).route(0, 1, 0, Port.WEST, [])
    region = FabricRegion(1, 2, colours=1)
    region.route(0, 1, 0, Port.RAMP, [Port.EAST])
    with pytest.raises(UserError, match="row 0, column 2"):
        run(region, WSE2)


@pytest.mark.parametrize(
    "step",
    [
        Instruction.compute(-1),
        Instruction.compute(2**40),
        Instruction.compute(2**70),
        Instruction.send(-3, 0),
        Instruction.send(3, 0, setup=-1),
        Instruction(Instruction.add(3, 0).operation, 3, pace=0),
    ],
)
def test_counts_that_cannot_be(step):
    region = chain(3, 4)
    region.program(0, 0, step)
    with pytest.raises(UserError, match="of an instruction"):
        run(region, WSE2)


@pytest.mark.parametrize("times", [0, -2, 2**40])
def test_repeats_that_cannot_be(times):
    with pytest.raises(UserError, match="repeats"):
        chain(3, 4).repeat(0, 0, times)
