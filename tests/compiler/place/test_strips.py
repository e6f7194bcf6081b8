"""A chain of wafers: filled one after the other, links between them priced, checked, simulated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import product
from math import ceil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import weft
from helpers.plans import moved
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from weft.backend.errors import InfeasibleError, UserError
from weft.compiler.place.strips import StripShapes, columns_taken, partition, partitions, wafers_of
from weft.compiler.plan.check import check
from weft.compiler.plan.document import PlanDocument
from weft.compiler.targets.load import load_target
from weft.compiler.targets.target import Target
from weft.compiler.timing.streams import wafer_link_bytes
from weft.sim import simulate

SHAPE = st.tuples(st.integers(1, 6), st.integers(1, 6))
STAGES = st.lists(st.lists(SHAPE, min_size=1, max_size=2), min_size=1, max_size=4)


def _least_wafers(shapes: list[list[tuple[int, int]]], rows: int, columns: int) -> int:
    """By trying every shape and every way to break the stages into rows, strips and wafers."""
    best = 99
    for chosen in product(*shapes):
        for breaks in product("aswn", repeat=len(chosen) - 1):
            strips: list[list[list[list[tuple[int, int]]]]] = [[[[chosen[0]]]]]
            for shape, kind in zip(chosen[1:], breaks, strict=True):
                if kind == "a":
                    strips[-1][-1][-1].append(shape)
                elif kind == "s":
                    strips[-1][-1].append([shape])
                elif kind == "n":
                    strips[-1].append([[shape]])
                else:
                    strips.append([[[shape]]])
            if all(_fits(wafer, rows, columns) for wafer in strips):
                best = min(best, len(strips))
    return best


def _fits(wafer: list[list[list[tuple[int, int]]]], rows: int, columns: int) -> bool:
    """Whether strips of rows of shapes fit a wafer, at most three in a row."""
    width = sum(max(sum(wide for _, wide in row) for row in strip) for strip in wafer)
    height = max(sum(max(tall for tall, _ in row) for row in strip) for strip in wafer)
    return width <= columns and height <= rows and all(len(r) <= 3 for s in wafer for r in s)


@given(STAGES, st.integers(4, 8), st.integers(4, 8))
def test_strips_need_the_fewest_wafers(sizes, rows, columns):
    shapes = [StripShapes(*np.array(stage).T, np.arange(len(stage))) for stage in sizes]
    strips = partition(shapes, rows, columns, abreast=3)
    expected = _least_wafers(sizes, rows, columns)
    if strips is None:
        assert expected == 99
        return
    wafers = wafers_of(strips, columns)
    assert wafers[-1] + 1 == expected
    assert wafers == sorted(wafers)
    assert wafers[-1] * columns < columns_taken(strips, columns) <= expected * columns
    for wafer in set(wafers):
        own = [s.width for s, at in zip(strips, wafers, strict=True) if at == wafer]
        assert sum(own) <= columns
    for strip in strips:
        assert sum(row.height for row in strip.rows) <= rows
        assert [row.first for row in strip.rows] == [
            strip.first,
            *(r.last for r in strip.rows[:-1]),
        ]


def test_two_low_stages_lie_abreast_where_a_strip_of_both_is_narrower():
    """3 x 4 and 3 x 2 over 6 x 6: stacked 6 x 6, with the third 9 x 6; two abreast 6 x 6."""
    sizes = [[(3, 4)], [(3, 2)], [(3, 6)]]
    shapes = [StripShapes(*np.array(stage).T, np.arange(len(stage))) for stage in sizes]
    strips = partition(shapes, 6, 6, abreast=2)
    assert strips is not None
    (strip,) = strips
    assert [(row.first, row.last, row.height) for row in strip.rows] == [(0, 2, 3), (2, 3, 3)]


def test_partitions_for_several_weights_are_those_for_each_alone():
    random = np.random.default_rng(0)
    sizes = [random.integers(1, 9, (4, 2)) for _ in range(12)]
    shapes = [StripShapes(*stage.T, np.arange(4)) for stage in sizes]
    weights = (0.0, 0.1, 1.0)
    alone = [partition(shapes, 20, 40, weight, 2) for weight in weights]
    assert list(partitions(shapes, 20, 40, weights, 2)) == alone


def _chain(wafers: int) -> Target:
    return load_target("tiny_mesh", {"wafers": str(wafers)})


@cache
def _plan(wafers: int) -> weft.Plan:
    """Six layers of 192 x 192: 3.4 MiB with gradient and momentum; a wafer has 2.5 MiB."""
    torch.manual_seed(0)
    layers = [layer for _ in range(6) for layer in (nn.Linear(192, 192), nn.Tanh())]
    model = nn.Sequential(*layers, nn.Linear(192, 5))
    sample = torch.zeros(1, 192), torch.tensor([3])
    return weft.compile(model, sample, F.cross_entropy, _chain(wafers))


def test_a_network_that_needs_more_than_one_wafer_says_how_many():
    with pytest.raises(InfeasibleError) as caught:
        _plan(1)
    assert "PEs" in caught.value.report
    document = _plan(8).document
    assert document.totals.wafers_least == 2
    assert _plan(document.totals.wafers_least).document.totals.wafers_used == 2


@pytest.mark.parametrize("wafers", [2, 3, 8])
def test_a_plan_for_a_chain_is_sound(wafers):
    document = _plan(wafers).document
    assert check(document, _chain(wafers), _plan(wafers).programs) == ()
    used = [stage.region.wafer for stage in document.stages]
    assert used == sorted(used)
    assert set(used) == set(range(document.totals.wafers_used))
    assert document.totals.pes_usable == wafers * 256


def test_more_wafers_are_never_slower_in_arithmetic():
    slowest = [
        max(stage.cycles.total_cycles for stage in _plan(wafers).document.stages)
        for wafers in (2, 3, 8)
    ]
    assert slowest == sorted(slowest, reverse=True)


def _narrow(document: PlanDocument, bytes_per_s: float) -> PlanDocument:
    constants = tuple(
        replace(c, value=bytes_per_s) if c.name == "wafer_link.bytes_per_s" else c
        for c in document.provenance
    )
    return replace(document, provenance=constants)


@pytest.mark.parametrize("level", ["analytic", "event"])
def test_the_link_between_wafers_bounds_the_pace(level):
    """At 1 MB/s the busiest link sets the interval: its bytes over its bandwidth, in cycles."""
    document = _narrow(_plan(2).document, 1e6)
    loads = wafer_link_bytes(document.edges, [s.region for s in document.stages])
    expected = max(ceil(max(load) * document.clock_hz / 1e6) for load in loads.values())
    report = simulate(document, 60, level)
    assert report.initiation_interval_cycles == pytest.approx(expected, rel=0.02)
    assert expected > _plan(2).document.totals.initiation_interval_cycles


MUTATIONS: dict[str, Callable[[PlanDocument], PlanDocument]] = {
    "wafers-in-order": lambda d: _moved(d, 0, 1),
    "route-ends": lambda d: _moved(d, len(d.stages) - 1, 0),
    "initiation-interval": lambda d: _narrow(d, 1e6),
    "latency": lambda d: _narrow(d, 1e6),
    "target-numbers": lambda d: replace(d, wafers=3),
    "region-inside-grid": lambda d: replace(d, grid=(16, 8)),
}


def _moved(document: PlanDocument, index: int, wafer: int) -> PlanDocument:
    stages = list(document.stages)
    region = replace(stages[index].region, wafer=wafer)
    stages[index] = moved(stages[index], region)
    return replace(document, stages=tuple(stages))


@pytest.mark.parametrize("rule", MUTATIONS)
def test_the_checker_names_what_is_wrong_with_a_chain(rule):
    broken = MUTATIONS[rule](_plan(2).document)
    assert rule in {violation.rule for violation in check(broken, _chain(2))}


def test_a_target_without_a_link_has_no_chain():
    with pytest.raises(UserError):
        load_target("wormhole", {"wafers": "2"})
