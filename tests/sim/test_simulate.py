"""Compiled networks at all levels: they agree, nothing is lost, and less is never faster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import plans
from helpers.networks import NETWORKS, TINY, compiled, network
from torch.utils.flop_counter import FlopCounterMode
from weft.backend.errors import InfeasibleError
from weft.compiler.timing.layout import Layout
from weft.compiler.timing.wiring import wire
from weft.sim import simulate


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("slower_links", [1, 40])
def test_analytic_and_event_agree(name, slower_links):
    """Equal where no stream shares a link, within 5 % where links are slow and shared."""
    scale = {"noc__link_bytes_per_cycle": 1 / slower_links}
    plan = plans.with_constants(network(name).document, **scale)
    event, analytic = simulate(plan, 400), simulate(plan, 400, "analytic")
    assert event.steady
    shared = [c for c in wire(Layout.of(plan)).channels if c.occupancy_cycles > c.work_cycles]
    ours, theirs = event.initiation_interval_cycles, analytic.initiation_interval_cycles
    assert ours == pytest.approx(theirs, rel=1e-3 if shared else 1e-12)


def test_slow_links_make_streams_share():
    """Or the test above would not test contention."""
    assert any(
        c.occupancy_cycles > c.work_cycles
        for name in ("skips", "attention", "residual")
        for c in wire(Layout.of(network(name).document)).channels
    )


@pytest.mark.parametrize("name", ["wide", "skips", "strided", "residual"])
def test_macs_are_those_of_the_model(name):
    """Forward multiply-accumulates against torch's own count."""
    build, shape, _ = NETWORKS[name]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        build()(torch.zeros(shape))
    operators = [o for stage in network(name).document.stages for o in stage.operators]
    forward = sum(o.macs_dense for o in operators if o.phase == "forward")
    assert forward == counter.get_total_flops() / 2


@pytest.mark.parametrize("name", NETWORKS)
def test_no_pe_holds_more_than_it_can(name):
    document = network(name).document
    for stage in document.stages:
        held = stage.memory_per_pe.total_bytes
        assert 0 < held <= document.totals.memory_capacity_per_pe_bytes
        assert held <= document.totals.max_memory_per_pe_bytes


LESS = {
    "memory": lambda t: replace(t, sram=replace(t.sram, bytes_per_pe=t.sram.bytes_per_pe // 2)),
    "rows": lambda t: replace(t, grid=replace(t.grid, rows=t.grid.rows // 2)),
    "columns": lambda t: replace(t, grid=replace(t.grid, columns=t.grid.columns // 2)),
}


@pytest.mark.parametrize("less", LESS)
@pytest.mark.parametrize("name", ["perceptron", "deep", "skips", "strided"])
def test_a_machine_with_less_is_never_faster(name, less):
    """Compiled anew for it; a plan that no longer fits is not faster either."""
    try:
        poorer = compiled(name, LESS[less](TINY))
    except InfeasibleError:
        return
    slow, fast = simulate(poorer.document), simulate(network(name).document)
    assert slow.initiation_interval_cycles >= fast.initiation_interval_cycles


@pytest.mark.parametrize("name", NETWORKS)
def test_less_bandwidth_is_never_faster(name):
    """Links and host, of the same plan: its interval, and the whole run."""
    fast = network(name).document
    for less in ({"noc__link_bytes_per_cycle": 0.5}, {"host__bytes_per_s": 0.125}):
        slow = plans.with_constants(fast, **less)
        ours, theirs = simulate(slow, 200), simulate(fast, 200)
        assert ours.initiation_interval_cycles >= theirs.initiation_interval_cycles
        assert ours.cycles >= theirs.cycles


@pytest.mark.parametrize("name", ["perceptron", "deep", "strided", "residual"])
def test_more_zeros_are_never_slower(name):
    """Nested masks: 100, 50 and 20 % of the weights."""
    densities = (1.0, 0.5, 0.2)
    intervals = [
        simulate(compiled(name, None, d).document).initiation_interval_cycles for d in densities
    ]
    assert np.all(np.diff(intervals) <= 0)
