"""Words that a region would lose are found before it is stepped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.backend.errors import UserError
from weft.compiler.targets import load_target
from weft.sim.fabric import FabricRegion, Instruction, Port, run

WSE2 = load_target("wse2")


def line(pes: int) -> FabricRegion:
    """One colour from the first PE of a row to its last."""
    region = FabricRegion(1, pes, colours=1)
    region.route(0, 0, 0, Port.RAMP, [Port.EAST])
    for column in range(1, pes - 1):
        region.route(0, column, 0, Port.WEST, [Port.EAST])
    region.route(0, pes - 1, 0, Port.WEST, [Port.RAMP])
    return region


def test_a_send_without_a_route():
    region = line(4)
    region.program(0, 1, Instruction.send(3, 0))
    with pytest.raises(UserError, match=r"(?s)colour 0 at row 0, column 1.*a route from the core"):
        run(region, WSE2)


def test_a_receive_without_a_route():
    region = line(4)
    region.program(0, 0, Instruction.send(3, 0))
    region.program(0, 2, Instruction.receive(3, 0))
    with pytest.raises(UserError, match=r"(?s)colour 0 at row 0, column 2.*a route to the core"):
        run(region, WSE2)


def test_routes_in_a_circle():
    """No core is on them: a word, if there were one, would go round for ever."""
    region = FabricRegion(2, 2, colours=2)
    ports = [(0, 0, Port.SOUTH, Port.EAST), (0, 1, Port.WEST, Port.SOUTH)]
    ports += [(1, 1, Port.NORTH, Port.WEST), (1, 0, Port.EAST, Port.NORTH)]
    for row, column, rx, tx in ports:
        region.route(row, column, 1, rx, [tx])
    region.program(0, 0, Instruction.compute(3))
    with pytest.raises(UserError, match="routes that go round in a circle"):
        run(region, WSE2)


@given(st.integers(2, 6), st.lists(st.integers(1, 9), min_size=1, max_size=3), st.data())
def test_words_left_over_are_counted_and_all_others_arrive(pes, sent, data):
    """The count is that of a loop over the words themselves."""
    taken = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=3))
    repeats = data.draw(st.integers(1, 3))
    region = line(pes)
    region.program(0, 0, *(Instruction.send(words, 0) for words in sent))
    region.program(0, pes - 1, *(Instruction.receive(words, 0) for words in taken))
    region.repeat(0, 0, repeats)
    left = repeats * sum(sent) - sum(taken)
    if left > 0:
        with pytest.raises(UserError, match=f"(?s)column {pes - 1}.*got.*{left} words left over"):
            run(region, WSE2)
        return
    result = run(region, WSE2)
    assert bool(result.stuck) == (left < 0)
    assert (result.link_words[0, :-1, Port.EAST] == repeats * sum(sent)).all()


def test_a_branch_that_nobody_takes_from():
    """Two cores listen; one of them takes nothing, though the other takes all."""
    region = line(3)
    region.route(0, 1, 0, Port.WEST, [Port.EAST, Port.RAMP])
    region.program(0, 0, Instruction.send(5, 0))
    region.program(0, 2, Instruction.receive(5, 0))
    with pytest.raises(UserError, match=r"(?s)row 0, column 1.*5 words left over"):
        run(region, WSE2)


def test_vectors_larger_than_a_pe():
    words = WSE2.sram.bytes_per_pe // 4
    for longer in (0, 1):
        region = line(3)
        send, receive = Instruction.send(words + longer, 0), Instruction.receive(words + longer, 0)
        region.program(0, 0, send)
        region.program(0, 2, receive)
        if not longer:
            assert not run(region, WSE2).stuck
            continue
        with pytest.raises(UserError, match="49,156 B"):
            run(region, WSE2)
        streamed = line(3)
        streamed.program(0, 0, replace(send, streamed=True))
        streamed.program(0, 2, replace(receive, streamed=True))
        assert not run(streamed, WSE2).stuck


@pytest.mark.parametrize("shape", [(1, 2, 4), (3, 4), (1, 3, 20_000)])
def test_memory_that_does_not_fit_the_region(shape):
    region = line(3)
    region.program(0, 0, Instruction.send(4, 0))
    region.program(0, 2, Instruction.receive(4, 0))
    with pytest.raises(UserError, match="memory"):
        run(region, WSE2, np.zeros(shape, np.float32))
