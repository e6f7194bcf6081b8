"""The event level: every stage, every sample, finite FIFOs, links and host, cycle by cycle."""

from __future__ import annotations

import pytest
from helpers.networks import NETWORKS, network
from weft.sim.event.level import play


@pytest.mark.parametrize("name", NETWORKS)
def test_all_that_is_put_into_a_stream_comes_out(name):
    """Items and so bytes, per edge and direction; no FIFO ever holds more than its depth."""
    run = play(network(name).document, 50, (0, 50))
    assert (run.state.given == 50).all()
    assert (run.state.taken == 50).all()
    for channel, moves in zip(run.wiring.channels, run.state.moves, strict=True):
        given, taken = moves[-50:, 0], moves[-50:, 1]
        assert (given < taken).all() or channel.work_cycles == 0
        assert (given[channel.depth :] >= taken[: 50 - channel.depth]).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_phases_of_a_tick_come_in_its_order(name):
    """Stage by stage: backward, forward, update, or forward, backward, update; one at a time."""
    document = network(name).document
    run = play(document, 50, (0, 50))
    for stage, slices in zip(document.stages, run.state.slices, strict=False):
        for tick in range(stage.delay + 1, 50):
            forward, backward, update = slices[tick, 0], *slices[tick - stage.delay, 1:]
            order = (backward, forward) if stage.backward_first else (forward, backward)
            before = slices[tick - stage.delay - 1, 2]
            ends = [before[1], order[0][1], order[1][1]]
            assert ends[0] <= order[0][0]
            assert ends[1] <= order[1][0]
            assert ends[2] <= update[0]
            assert update[1] - update[0] == stage.cycles.update_cycles
