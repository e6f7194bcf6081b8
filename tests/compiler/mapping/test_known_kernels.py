"""What was mapped for another machine is what mapping anew gives."""

from __future__ import annotations

import pytest
from helpers.stages_of import resnet8_stages
from weft.compiler.mapping.choices import Kernels
from weft.compiler.mapping.known_kernels import KEPT, what_is_read
from weft.compiler.mapping.map import Map, map_kernels
from weft.compiler.mapping.pricing import Known
from weft.compiler.plan.training import Training
from weft.compiler.targets import load_target
from weft.compiler.targets.target import Target

STAGES, TRAINING = resnet8_stages(), Training()
MACHINES: dict[str, dict[str, object]] = {
    "a clock": {"clock_hz": 1.1e9},
    "a slow host": {"host.bytes_per_s": 1e9},
    "slow hops": {"noc.hop_cycles": 9},
    "less memory": {"sram.bytes_per_pe": 36_000},
    "two wafers": {"grid.rows": 40, "grid.columns": 40, "wafers": 2},
}


def mapped(known: Known, target: Target) -> Kernels:
    return Map(target, TRAINING, known=known)(STAGES)


def test_a_machine_among_many_gets_the_kernels_of_its_own() -> None:
    known = Known()
    for changes in [{}, *MACHINES.values(), {}]:
        target = load_target("wse2", changes)
        found, own = mapped(known, target), map_kernels(STAGES, target, TRAINING)
        assert found.target == target
        for one, other in zip(found.stages, own.stages, strict=True):
            assert one.choices[:2] == other.choices[:2]
            assert (one.sizes.interval_cycles == other.sizes.interval_cycles).all()
            assert (one.sizes.memory_bytes == other.sizes.memory_bytes).all()


@pytest.mark.parametrize(
    ("machine", "again"), [("a clock", False), ("a slow host", False), ("slow hops", True)]
)
def test_only_what_mapping_reads_makes_it_map_again(machine: str, again: bool) -> None:
    known = Known()
    first = mapped(known, load_target("wse2"))
    second = mapped(known, load_target("wse2", MACHINES[machine]))
    assert (second.stages is not first.stages) is again


def test_between_wafers_cycles_depend_on_the_clock() -> None:
    two = load_target("wse2", {"wafers": 2})
    faster = load_target("wse2", {"wafers": 2, "clock_hz": 1.1e9})
    assert what_is_read(STAGES, two) != what_is_read(STAGES, faster)
    assert what_is_read(STAGES, load_target("wse2")) == what_is_read(
        STAGES, load_target("wse2", {"clock_hz": 1.1e9})
    )


def test_those_used_last_are_kept() -> None:
    known = Known()
    for hops in range(1, KEPT + 2):
        mapped(known, load_target("wse2", {"noc.hop_cycles": hops}))
    assert len(known.kernels) == KEPT
