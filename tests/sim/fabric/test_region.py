"""Routes and programs that cannot be are refused when they are made."""

from __future__ import annotations

import re

import numpy as np
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


@pytest.mark.parametrize(("rx", "tx"), [(9, [Port.EAST]), (Port.RAMP, [7]), (-1, [0]), ("W", [0])])
def test_ports_that_no_router_has(rx, tx):
    """Words that left by port 7 were lost without a word."""
    with pytest.raises(UserError, match="ports of a router: EAST, WEST, NORTH, SOUTH, RAMP"):
        FabricRegion(1, 2, colours=1).route(0, 0, 0, rx, tx)


@pytest.mark.parametrize("step", [Instruction(9, 4), Instruction("add", 4), "send", None])
def test_what_no_core_can_do(step):
    """An operation that there is not hung the core."""
    with pytest.raises(UserError, match="instructions: COMPUTE, SEND, RECEIVE, ADD"):
        FabricRegion(1, 2, colours=1).program(0, 0, step)


@pytest.mark.parametrize("sizes", [(0, 2), (-1, 2), (1.5, 2), (10**6, 10**6)])
def test_sizes_that_cannot_be(sizes):
    with pytest.raises(UserError, match=re.escape(f"{sizes[0]} x {sizes[1]} PEs")):
        FabricRegion(*sizes, colours=1)


def test_numbers_that_are_not_real():
    region = FabricRegion(1, 1, colours=1)
    with pytest.raises(UserError, match=r"got:      \(1, 1, 4\) of complex64"):
        run(region, WSE2, np.zeros((1, 1, 4), np.complex64))


def test_cores_that_wait_for_each_other_are_named_with_what_they_wait_for():
    """Both take first: nothing is ever sent."""
    region = FabricRegion(1, 2, colours=2)
    for colour, (source, sink) in enumerate([(0, 1), (1, 0)]):
        there, back = (Port.EAST, Port.WEST) if source == 0 else (Port.WEST, Port.EAST)
        region.route(0, source, colour, Port.RAMP, [there])
        region.route(0, sink, colour, back, [Port.RAMP])
    for core in (0, 1):
        region.program(0, core, Instruction.receive(4, 1 - core), Instruction.send(4, core))
    assert run(region, WSE2).stuck == (
        "row 0, column 0: instruction 0 takes from colour 1",
        "row 0, column 1: instruction 0 takes from colour 0",
    )


@pytest.mark.parametrize(
    "step",
    [
        Instruction.send(2.5, 0),  # type: ignore[arg-type]
        Instruction.send("4", 0),  # type: ignore[arg-type]
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
