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
