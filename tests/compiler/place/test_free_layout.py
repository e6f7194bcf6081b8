"""Stages packed off the strips: valid, of the choices offered, and with wires no longer."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.backend.errors import InfeasibleError
from weft.compiler.mapping.choices import Choice, Kernels, StageKernel
from weft.compiler.place.free_layout import Offer, freed
from weft.compiler.place.intervals import Intervals, occurring
from weft.compiler.place.route import wire_length
from weft.compiler.place.strip_layouts import placements, shapes_within
from weft.compiler.plan.stage_record import NonZeros, PEMemory, PhaseCycles, Tiling
from weft.compiler.targets import load_target
from weft.compiler.targets.target import Target

TINY = load_target("tiny_mesh")
MEMORY, NONZEROS = PEMemory(0, 0, 0, 0, 0, 0, 0, 0), NonZeros(0, 0, 0.0, 0, 0)
SHAPE = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 100))
STAGES = st.lists(st.lists(SHAPE, min_size=1, max_size=5), min_size=1, max_size=8)


def _choice(height: int, width: int, cycles: int) -> Choice:
    return Choice(Tiling(1, height, width), (), PhaseCycles(cycles, 0, 0), 0, MEMORY, NONZEROS)


def _target(rows: int, columns: int, wafers: int) -> Target:
    return replace(TINY, grid=replace(TINY.grid, rows=rows, columns=columns), wafers=wafers)


@settings(max_examples=20, deadline=None)
@given(STAGES, st.integers(12, 30), st.integers(12, 30), st.integers(1, 2), st.randoms())
def test_stages_stay_inside_and_apart_and_wires_get_no_longer(stages, rows, columns, wafers, rng):
    made = [StageKernel(i, tuple(_choice(*s) for s in one)) for i, one in enumerate(stages)]
    kernels = Kernels(_target(rows, columns, wafers), tuple(made))
    try:
        limit = Intervals(kernels).least
    except InfeasibleError:
        return
    dag = nx.DiGraph()
    dag.add_nodes_from(range(len(stages)))
    pairs = list(combinations(range(len(stages)), 2))
    dag.add_edges_from(rng.sample(pairs, min(len(pairs), len(stages) + 1)))
    strips = placements(kernels, limit)[0]
    offers = offers_of(kernels, limit)
    free = freed(strips, kernels.stages, offers, dag, 60.0, rounds=1)
    assert [one.stage for one in free.placed] == list(range(len(stages)))
    for old, new in zip(strips.placed, free.placed, strict=True):
        region = new.region
        assert region.wafer == old.region.wafer
        sides = new.choice.height, new.choice.width
        assert (region.height, region.width) == (sides[::-1] if new.is_turned else sides)
        assert new.choice in kernels.stages[new.stage].choices
        assert new.choice.interval_cycles <= limit
        assert 0 <= region.row <= rows - region.height
        assert 0 <= region.column <= columns - region.width
    for one, other in combinations(free.placed, 2):
        assert not one.region.overlaps(other.region)
    if wafers == 1:
        slack = len(dag.edges)  # centres between PEs are rounded to one
        is_faster = max(one.choice.interval_cycles for one in free.placed) < limit
        assert is_faster or wire_length(free, dag) <= wire_length(strips, dag) + slack


def test_one_wafer_may_take_a_shorter_interval_than_strips():
    """The first and the last stage fill 12 x 12 beside the middle one; strips keep their order."""
    sides = (6, 6), (12, 6), (6, 6)
    made = [StageKernel(i, (_choice(4, 4, 20), _choice(*own, 10))) for i, own in enumerate(sides)]
    kernels = Kernels(_target(12, 12, 1), tuple(made))
    assert Intervals(kernels).least == 20
    strips, dag = placements(kernels, 20)[0], nx.path_graph(3, nx.DiGraph)
    free = freed(strips, kernels.stages, offers_of(kernels, 20), dag, 60.0, rounds=2)
    assert [one.choice.interval_cycles for one in free.placed] == [10, 10, 10]


def offers_of(kernels: Kernels, limit: int) -> list[Offer]:
    """For each interval that occurs up to a limit and that every stage has a choice for."""
    floor = max(int(stage.sizes.interval_cycles.min()) for stage in kernels.stages)
    intervals = [cycles for cycles in occurring(kernels) if floor <= cycles <= limit]
    return [Offer(cycles, shapes_within(kernels, cycles)) for cycles in intervals]
