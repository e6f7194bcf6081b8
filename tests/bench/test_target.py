"""Machines of measurements."""

from __future__ import annotations

from weft.bench.target import target_of
from weft.compiler.targets.load import load_target


def test_the_large_machine_has_256_times_the_pes_and_the_memory_of_each() -> None:
    large, wafer = target_of("large"), load_target("wse3")
    assert large.rows * large.columns == 256 * wafer.rows * wafer.columns
    assert large.sram.bytes_per_pe == 256 * wafer.sram.bytes_per_pe
    assert (large.name, large.noc) == ("large", wafer.noc)


def test_others_are_those_of_weft() -> None:
    assert target_of("tiny_mesh") == load_target("tiny_mesh")
