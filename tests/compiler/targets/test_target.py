"""A target machine: frozen dataclasses that a YAML file fills, constant by constant."""

from __future__ import annotations

from dataclasses import replace

import pytest
from weft.backend.errors import UnsupportedError
from weft.compiler.targets import load_target
from weft.compiler.targets.load import target_text


def test_override_changes_value_hash_and_provenance():
    plain, fast = load_target("wse2"), load_target("wse2", {"clock_hz": "1.1e9"})
    assert fast.clock_hz == 1.1e9
    assert fast.hash != plain.hash
    assert load_target("wse2", {"clock_hz": "850000000"}).hash == plain.hash
    (clock,) = [c for c in fast.constants() if c.name == "clock_hz"]
    assert (clock.value, clock.confidence) == (1.1e9, "assumed")
    assert "850000000" in clock.source


def test_nested_override():
    target = load_target("wse2", {"compute.float16.macs_per_cycle": "8"})
    assert target.arithmetic("float16").macs_per_cycle == 8
    assert target.arithmetic("float32") == load_target("wse2").arithmetic("float32")


def test_unsupported_dtype():
    with pytest.raises(UnsupportedError, match="float64"):
        load_target("wse2").arithmetic("float64")


def test_constants_replaced_in_python_are_said_to_be():
    target = load_target("wse2")
    changed = replace(target, clock_hz=1e9, noc=replace(target.noc, hop_cycles=3))
    found = {constant.name: constant for constant in changed.constants()}
    assert (found["clock_hz"].value, found["noc.hop_cycles"].value) == (1e9, 3)
    assert found["noc.hop_cycles"].source.startswith("set by")
    same = {name for name, c in found.items() if c in target.constants()}
    assert found.keys() - same == {"clock_hz", "noc.hop_cycles"}


def test_a_mesh_without_a_relay_gets_one_that_is_marked(tmp_path):
    lines = [line for line in target_text("tiny_mesh").splitlines() if "relay_cycles" not in line]
    (file := tmp_path / "mesh.yaml").write_text("\n".join(lines))
    target = load_target(str(file))
    relay = {c.name: c for c in target.constants()}["noc.relay_cycles"]
    assert (relay.value, relay.confidence) == (1.0, "derived")
    rates = {f"compute.{dtype}.elements_per_cycle": "0.25" for dtype in target.compute}
    assert load_target(str(file), rates).noc.relay_cycles == 4.0
