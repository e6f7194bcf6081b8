"""What is known of other machines gives the placement that placing anew gives."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.stages_of import resnet8_stages
from weft.compiler.mapping.map import Map, map_kernels
from weft.compiler.mapping.pricing import Known
from weft.compiler.place.known_places import KEPT
from weft.compiler.place.place import Place, place
from weft.compiler.plan.training import Training
from weft.compiler.targets import load_target
from weft.compiler.targets.target import Target

STAGES, TRAINING = resnet8_stages(), Training()
MACHINES: dict[str, dict[str, object]] = {
    "a clock": {"clock_hz": 1.1e9},
    "a slow host": {"host.bytes_per_s": 1e9},
    "the slowest host": {"host.bytes_per_s": 1e8},
    "late bytes": {"host.latency_s": 1e-3},
    "slow hops": {"noc.hop_cycles": 9},
    "fewer rows": {"grid.rows": 60, "grid.columns": 60},
    "two wafers": {"grid.rows": 40, "grid.columns": 40, "wafers": 2},
}


def placed_by(known: Known, target: Target):
    return Place(known=known)(STAGES, map_kernels(STAGES, target))


def test_a_machine_among_many_gets_the_placement_of_its_own() -> None:
    known = Known()
    for changes in [{}, *MACHINES.values(), {}]:
        target = load_target("wse2", changes)
        assert placed_by(known, target) == place(STAGES, map_kernels(STAGES, target))


@pytest.mark.parametrize(("machine", "times"), [("late bytes", 1), ("slow hops", 2)])
def test_only_what_placing_reads_makes_it_place_again(machine: str, times: int) -> None:
    known = Known()
    placed_by(known, load_target("wse2"))
    placed_by(known, replace(load_target("wse2", MACHINES[machine]), name="other"))
    assert len(known.placements) == times


@pytest.mark.parametrize(("machine", "times"), [("a slow host", 1), ("slow hops", 2)])
def test_stages_are_packed_once_for_hosts_of_any_speed(machine: str, times: int) -> None:
    known = Known()
    Place(known=known)(STAGES, Map(load_target("wse2"), TRAINING, known=known)(STAGES))
    other = load_target("wse2", MACHINES[machine])
    found = Place(known=known)(STAGES, Map(other, TRAINING, known=known)(STAGES))
    assert len(known.packings) == times
    assert found == place(STAGES, map_kernels(STAGES, other))


def test_those_used_last_are_kept() -> None:
    known = Known()
    known.placements.update(dict.fromkeys(range(KEPT), (STAGES, None)))  # type: ignore[misc]
    placed_by(known, load_target("wse2"))
    assert len(known.placements) == KEPT
    assert 0 not in known.placements
