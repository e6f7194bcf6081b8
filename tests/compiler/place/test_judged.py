"""Plans of random networks on random machines, before a judge that shares no code with weft.

A thousand are judged by `PYTHONPATH=tests python -m helpers.judge.verdict 0 1000`; here some.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from helpers.judge import colours, places, streams
from helpers.judge.instances import machine, network
from helpers.judge.verdict import compiled, faults, machine_of
from weft.backend.errors import InfeasibleError, UserError
from weft.compiler.capture.capture import capture
from weft.compiler.pipeline import GraphCompiler, with_masks_of
from weft.compiler.plan.codec import to_data

NETWORKS, MACHINES = 10, 6
SEVERAL, DEFECTS = 22, machine(22)
"""An instance of 14 stages with skips on two wafers of 5 x 3 PEs, with three rows bypassed."""


@pytest.mark.parametrize("number", range(NETWORKS))
def test_plans_of_one_network_for_several_machines(number: int, tmp_path: Path) -> None:
    drawn = network(number)
    graph = capture(drawn.model, drawn.sample, drawn.loss)
    compiler = GraphCompiler(graph, with_masks_of(drawn.model, graph, drawn.options))
    placed = 0
    for seed in range(MACHINES * number, MACHINES * (number + 1)):
        on = machine(seed)
        try:
            plan = compiler.plan(compiler.choose(machine_of(on, tmp_path)))
        except (InfeasibleError, UserError):
            continue
        placed += 1
        assert list(faults(plan.document, on, drawn)) == [], seed
    assert placed > 0


def test_a_tied_table_may_have_the_first_wafer_to_itself(tmp_path: Path) -> None:
    drawn, on = network(447), machine(447)
    plan = compiled(drawn, machine_of(on, tmp_path))
    assert list(faults(plan.document, on, drawn)) == []
    regions = [stage.region for stage in plan.document.stages]
    assert {region.wafer for region in regions if regions.count(region) > 1} == {0}
    assert {region.wafer for region in regions if regions.count(region) == 1} == {1}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    target = machine_of(DEFECTS, tmp_path_factory.mktemp("judged"))
    return to_data(compiled(network(SEVERAL), target).document)


def _all(plan: dict[str, Any], on: dict[str, Any]) -> Iterator[str]:
    yield from places.place_faults(plan, on)
    yield from places.memory_faults(plan, on)
    yield from places.slow_faults(plan, on)
    yield from streams.route_faults(plan)


def _region(plan: dict[str, Any], stage: int) -> dict[str, Any]:
    return plan["stages"][stage]["uses"][0]["region"]


def _shift(name: str, by: int) -> Callable[[dict[str, Any]], None]:
    def change(plan: dict[str, Any]) -> None:
        _region(plan, 1)["rectangle"][name] += by

    return change


def _on_the_next(plan: dict[str, Any]) -> None:
    _region(plan, 1)["rectangle"].update(_region(plan, 2)["rectangle"])


def _full(plan: dict[str, Any]) -> None:
    plan["stages"][3]["memory_per_pe"]["gradient_bytes"] += 1 << 16


def _empty(name: str) -> Callable[[dict[str, Any]], None]:
    def change(plan: dict[str, Any]) -> None:
        for stage in plan["stages"]:
            stage["memory_per_pe"][name] = 0

    return change


def _hops(plan: dict[str, Any]) -> None:
    plan["edges"][2]["hops"] += 1


def _bent(plan: dict[str, Any]) -> None:
    edge = next(edge for edge in plan["edges"] if len(edge["route"]) == 3)
    edge["route"] = [edge["route"][0], edge["route"][2]]


def _elsewhere(plan: dict[str, Any]) -> None:
    plan["edges"][-1]["route"] = [[0, 0], [0, 1]]
    plan["edges"][-1]["hops"] = 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_shift("row", -9), "is off the wafer"),
        (_shift("column", 2), "is off the wafer"),
        (_shift("wafer", 2), "does not work"),
        (_shift("height", 1), "is not as large as its tiling"),
        (_on_the_next, "belongs to r01 and r02"),
        (_full, "a PE has"),
        (_empty("weights_bytes"), "weights of 0 bytes"),
        (_empty("stream_buffer_bytes"), "stream_buffer of 0 bytes"),
        (_empty("skip_fifo_bytes"), "skip_fifo of 0 bytes"),
        (_hops, "hops"),
        (_bent, "is not along rows and columns"),
        (_elsewhere, "does not end in its sink's region"),
    ],
)
def test_the_judge_sees_what_is_planted(
    sound: dict[str, Any], change: Callable[[dict[str, Any]], None], said: str
) -> None:
    assert list(_all(sound, DEFECTS)) == []
    broken = deepcopy(sound)
    change(broken)
    assert any(said in line for line in _all(broken, DEFECTS)), list(_all(broken, DEFECTS))


def test_the_judge_sees_other_defects(sound: dict[str, Any]) -> None:
    """A row less, and a core at half speed where some operator takes an odd number of cycles."""
    dead, slow = deepcopy(DEFECTS), deepcopy(DEFECTS)
    row = places.rows_left(places.constants(DEFECTS))[_region(sound, 0)["rectangle"]["row"]]
    column = _region(sound, 0)["rectangle"]["column"]
    dead["defects"]["dead_cores"]["value"] += [row, column]
    assert any("the plan" in line for line in places.place_faults(sound, dead))
    slow["defects"]["slow_cores"]["value"] = [row, column, 50]
    slow["defects"]["least_speed_percent"]["value"] = 1
    assert any(operator["compute_cycles"] % 2 for operator in sound["stages"][0]["operators"])
    assert any("at 50 %" in line for line in places.slow_faults(sound, slow))


def test_the_judge_sees_clashing_colours_and_turns_for_nothing(sound: dict[str, Any]) -> None:
    every = streams.streams_of(sound)
    one = dict.fromkeys((stream.key for stream in every), 0)
    found = list(colours.colour_faults(sound, DEFECTS, one, frozenset()))
    assert any("meet with colour 0" in line for line in found)
    pairs = combinations([stream for stream in every if stream.routers], 2)
    apart = next(frozenset((a.key, b.key)) for a, b in pairs if not a.routers & b.routers)
    own = {stream.key: number for number, stream in enumerate(every)}
    found = list(colours.colour_faults(sound, DEFECTS, own, frozenset((apart,))))
    assert any("take turns for nothing" in line for line in found)
    assert any("there are" in line for line in found)


def test_rates_are_those_of_a_link_that_three_streams_share(sound: dict[str, Any]) -> None:
    """By hand: 2 + 3 cycles on one link, 3 + 5 on another; the second is full at 1 / 8, and the
    first stream may have what is left of its own."""
    works = {(0, 0): 2, (1, 0): 3, (2, 0): 5}
    users = {((0, 0), (0, 1)): {(0, 0), (1, 0)}, ((0, 1), (0, 2)): {(1, 0), (2, 0)}}
    rates = streams._filled(works, users)
    assert [1 / rates[key] for key in works] == [pytest.approx(16 / 5), 8, 8]
