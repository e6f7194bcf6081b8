"""The PE-level fabric: what it computes and conserves, and the formulas it is there to check."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from weft.backend.errors import UserError
from weft.compiler.machine import collectives
from weft.compiler.targets import load_target
from weft.sim.fabric import (
    FabricRegion,
    Instruction,
    Port,
    broadcast,
    chain,
    ring_product,
    run,
    shift,
    two_phase,
)
from weft.sim.fabric.kernels import MessageCost, add_chain, add_two_phase

WSE2, WSE3 = load_target("wse2"), load_target("wse3")
SIZES = [(8, 32), (32, 256), (64, 16), (64, 1024)]


def cycles(target, collective, *sizes: int) -> float:
    """Of a collective, without what starts it."""
    arrays = (np.array(size) for size in sizes)
    return float(collective(target.noc, *arrays)) - target.noc.collective_start_cycles


def way(target, hops: int) -> float:
    """Of a word from one core's memory to another core: through the datapath, down and up a ramp,
    over the links."""
    noc = target.noc
    return noc.relay_cycles + 2 * noc.ramp_cycles + hops * noc.hop_cycles


def data(pes: int, words: int, rows: int = 1) -> np.ndarray:
    """Small whole numbers, so that sums are exact in any order."""
    rng = np.random.default_rng(pes * words)
    return rng.integers(-9, 9, (rows, pes, words)).astype(np.float32)


@pytest.mark.parametrize("target", [WSE2, WSE3], ids=["wse2", "wse3"])
@pytest.mark.parametrize(("pes", "words"), SIZES)
def test_reductions_sum_and_take_the_time_of_the_formulas(target, pes, words):
    memory = data(pes, words)
    single = run(chain(pes, words), target, memory)
    assert not single.stuck
    assert (single.memory[0, 0] == memory[0].sum(0)).all()
    expected = cycles(target, collectives.reduce_chain, words, pes)
    assert single.cycles == pytest.approx(expected, rel=0.05)

    for group in (4, 8):
        both = run(two_phase(pes, group, words), target, memory)
        assert (both.memory[0, 0] == memory[0].sum(0)).all()
        expected = cycles(target, collectives.reduce_two_phase, words, pes, group)
        assert both.cycles == pytest.approx(expected, rel=0.05, abs=2)


@pytest.mark.parametrize(("pes", "words"), SIZES)
def test_the_compilers_collectives_agree_with_the_fabric(pes, words):
    start = WSE2.noc.collective_start_cycles
    formula = collectives.reduce_chain(WSE2.noc, np.array(words), np.array(pes)) - start
    assert run(chain(pes, words), WSE2).cycles == pytest.approx(float(formula), rel=0.05)
    formula = collectives.broadcast(WSE2.noc, np.array(words), np.array(pes)) - start
    assert run(broadcast(pes, words), WSE2).cycles == pytest.approx(float(formula), rel=0.05)


@pytest.mark.parametrize("pes", range(4, 40))
def test_two_phases_in_groups_that_do_not_come_out_even(pes):
    """The last group is smaller; how much earlier it is ready depends on the links it shares."""
    words, group = 7, math.ceil(pes**0.5)
    cycles = run(two_phase(pes, group, words), WSE2).cycles
    sizes = (np.array([size]) for size in (words, pes, group))
    formula = collectives.reduce_two_phase(WSE2.noc, *sizes)[0]
    one_step = 2 * WSE2.noc.ramp_cycles + 1
    assert abs(cycles - (formula - WSE2.noc.collective_start_cycles)) <= one_step


@pytest.mark.parametrize("pace", [3, 10])
@pytest.mark.parametrize(("pes", "words"), [(9, 8), (16, 60), (36, 12), (64, 200)])
def test_what_arithmetic_hides_of_a_reduction(pes, words, pace):
    """Words that take `pace` cycles to compute each; the faster form of the two. A last group that
    is smaller, or a last word whose arithmetic follows its departure, moves it by a pace."""
    how, group, line = MessageCost(0, pace), round(pes**0.5), [(0, column) for column in range(pes)]
    forms = FabricRegion(1, pes, 4), FabricRegion(1, pes, 4)
    add_chain(forms[0], line, range(pes), words, (0, 1), how=how)
    add_two_phase(forms[1], line, range(pes), group, words, (0, 1, 2, 3), how=how)
    stepped = min(run(form, WSE2).cycles for form in forms)
    formula = collectives.reduce_behind(WSE2.noc, np.array(words), np.array(pes))
    formula = float(formula) - WSE2.noc.collective_start_cycles
    assert stepped - pace * words == pytest.approx(formula, abs=pace)


@pytest.mark.parametrize("target", [WSE2, WSE3], ids=["wse2", "wse3"])
@pytest.mark.parametrize(("pes", "words"), SIZES)
def test_broadcast_reaches_all(target, pes, words):
    memory = data(pes, words)
    result = run(broadcast(pes, words), target, memory)
    assert (result.memory[0] == memory[0, 0]).all()
    expected = cycles(target, collectives.broadcast, words, pes)
    assert result.cycles == pytest.approx(expected, rel=0.05)
    assert (result.link_words[0, :-1, Port.EAST] == words).all()
    assert result.link_words.sum() == words * (pes - 1)


@pytest.mark.parametrize("repeats", [1, 5, 100])
def test_blocking_exchange_is_slower_until_the_wait_has_crossed_the_line(repeats):
    pes, words, step = 16, 8, 30
    result = run(shift(pes, words, repeats, step), WSE2)
    waits = min(repeats, pes - 1) * float(collectives.step_cycles(WSE2.noc))
    expected = repeats * (step + words) + waits
    assert result.cycles == pytest.approx(expected, rel=0.05)


def test_shifting_moves_every_tile_right():
    memory = data(12, 4)
    once = run(shift(12, 4, 3, 0), WSE2, memory)
    assert (once.memory[0, 3:] == memory[0, :-3]).all()


def test_rows_are_independent_and_the_result_repeats():
    memory = data(16, 32, rows=6)
    many = run(chain(16, 32, rows=6), WSE2, memory)
    again = run(chain(16, 32, rows=6), WSE2, memory)
    alone = run(chain(16, 32), WSE2, memory[3:4])
    assert (many.finish == many.finish[0]).all()
    assert (many.finish[3] == alone.finish[0]).all()
    assert (many.memory == again.memory).all()
    assert (many.memory[3] == alone.memory[0]).all()


def test_equal_rows_are_simulated_once_and_a_different_one_by_itself():
    """The first PE of row 2 computes last; all else is as in each row alone."""
    memory = data(16, 32, rows=5)
    region = chain(16, 32, rows=5)
    late = chain(16, 32, rows=5)
    late.program(2, 0, Instruction.compute(70))
    result = run(late, WSE2, memory)
    assert run(region, WSE2).classes == 1
    assert result.classes == 2
    assert (result.memory[:, 0] == memory.sum(1)).all()
    alone = run(chain(16, 32), WSE2).finish[0]
    later = np.zeros((5, 16), int)
    later[2, 0] = 70
    assert (result.finish == alone + later).all()
    assert (result.link_words.sum(axis=(1, 2)) == 15 * 32).all()


def test_a_core_that_computes_with_every_word_holds_the_stream_up():
    """Words of 3 cycles each; the sender is held back by full queues, not by its own pace."""
    region = line(4, 1)
    region.program(0, 0, Instruction.send(100, 0))
    region.program(0, 3, replace(Instruction.receive(100, 0), pace=3))
    result = run(region, WSE2, data(4, 100))
    first = way(WSE2, hops=3)
    assert result.cycles == first + 300
    assert 150 < result.finish[0, 0] < 300


@pytest.mark.parametrize("pace", [1, 2, 10, 300])
def test_a_word_leaves_while_its_core_computes(pace):
    """The pace is the core's: the router sends a word on at once."""
    region = line(4, 1)
    region.program(0, 0, replace(Instruction.send(3, 0), pace=pace))
    region.program(0, 3, Instruction.receive(3, 0))
    arrived = run(region, WSE2).finish[0, 3]
    assert arrived == 2 * pace + way(WSE2, hops=3) + 1


def line(pes: int, colours: int) -> FabricRegion:
    """Colours 0, 1, ... from the first PE of a row to its last."""
    region = FabricRegion(1, pes, colours)
    for colour in range(colours):
        region.route(0, 0, colour, Port.RAMP, [Port.EAST])
        for column in range(1, pes - 1):
            region.route(0, column, colour, Port.WEST, [Port.EAST])
        region.route(0, pes - 1, colour, Port.WEST, [Port.RAMP])
    return region


def test_tiles_go_round_the_ring_and_columns_are_folded():
    """After one turn less than all, every PE holds the tile of the next one on the ring."""
    pes, words, multiply = 8, 3, 20
    ring = [0, 2, 4, 6, 7, 5, 3, 1]
    column = ring_product(pes, words, multiply)
    memory = data(pes * 5, words).reshape(pes, 5, words)
    home = run(column.beside(5), WSE2, memory)
    assert home.classes == 1
    assert (home.memory == memory).all()
    for row in range(pes):
        column.repeat(row, 0, pes - 1)
    short = run(column.beside(5), WSE2, memory)
    assert (short.memory[ring] == memory[ring[1:] + ring[:1]]).all()
    step = multiply + words + 2 * WSE2.noc.ramp_cycles + 2 * WSE2.noc.hop_cycles
    assert home.cycles == pytest.approx(pes * step, rel=0.05)
    assert (home.link_words.sum(axis=(1, 2))[1:-1] == 2 * pes * words * 5).all()


def test_latency_of_one_word():
    for target in (WSE2, WSE3):
        region = line(6, 1)
        region.program(0, 0, Instruction.send(1, 0))
        region.program(0, 5, Instruction.receive(1, 0))
        # sent in cycle 0, received in the cycle in which it arrives
        assert run(region, target).cycles == way(target, hops=5) + 1


def test_two_colours_share_a_link():
    """Two senders into one column of links take twice as long as one."""
    region = FabricRegion(2, 8, colours=2)
    for column in range(1, 7):
        for colour in (0, 1):
            region.route(0, column, colour, Port.WEST, [Port.EAST])
    region.route(0, 0, 0, Port.RAMP, [Port.EAST])
    region.route(1, 0, 1, Port.RAMP, [Port.NORTH])
    region.route(0, 0, 1, Port.SOUTH, [Port.EAST])
    region.route(0, 7, 0, Port.WEST, [Port.RAMP])
    region.route(0, 7, 1, Port.WEST, [Port.SOUTH])
    region.route(1, 7, 1, Port.NORTH, [Port.RAMP])
    words = 500
    for row in (0, 1):
        region.program(row, 0, Instruction.send(words, row))
        region.program(row, 7, Instruction.receive(words, row))
    result = run(region, WSE2)
    assert result.cycles == pytest.approx(2 * words, rel=0.05)
    assert abs(int(result.finish[0, 7]) - int(result.finish[1, 7])) < 10
    assert result.link_words[0, 3, Port.EAST] == 2 * words


def test_back_pressure_holds_the_sender_and_loses_nothing():
    region = line(4, 1)
    region.program(0, 0, Instruction.send(100, 0))
    region.program(0, 3, Instruction.compute(1000), Instruction.receive(100, 0))
    memory = data(4, 100)
    result = run(region, WSE2, memory)
    assert (result.memory[0, 3] == memory[0, 0]).all()
    assert 1000 < result.finish[0, 0] <= result.cycles
    assert result.cycles == pytest.approx(1100, rel=0.02)


def test_a_core_that_waits_for_nothing_is_reported():
    region = line(3, 1)
    region.program(0, 2, Instruction.receive(1, 0))
    assert run(region, WSE2).stuck == ("row 0, column 2: instruction 0 takes from colour 0",)


def test_a_cycle_of_waits_is_reported():
    """Both cores add and pass on, each waiting for the other's first word."""
    region = FabricRegion(1, 2, colours=2)
    region.route(0, 0, 0, Port.RAMP, [Port.EAST])
    region.route(0, 1, 0, Port.WEST, [Port.RAMP])
    region.route(0, 1, 1, Port.RAMP, [Port.WEST])
    region.route(0, 0, 1, Port.EAST, [Port.RAMP])
    region.program(0, 0, Instruction.add_and_send(4, 1, 0))
    region.program(0, 1, Instruction.compute(500), Instruction.add_and_send(4, 0, 1))
    assert len(run(region, WSE2).stuck) == 2


def test_a_route_without_a_listener_is_refused():
    region = FabricRegion(1, 3, colours=1)
    region.route(0, 0, 0, Port.RAMP, [Port.EAST])
    with pytest.raises(UserError, match="colour 0 at row 0, column 1"):
        run(region, WSE2)


def test_computing_takes_its_cycles_and_setup_comes_before():
    region = FabricRegion(1, 1, colours=1)
    region.program(0, 0, Instruction.compute(40), Instruction.compute(2))
    assert run(region, WSE2).cycles == 42


def test_sixty_four_by_sixty_four():
    result = run(chain(64, 16, rows=64), WSE2, data(64, 16, rows=64))
    assert not result.stuck
    assert (result.memory[:, 0] == data(64, 16, rows=64).sum(1)).all()
