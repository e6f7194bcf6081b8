from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from weft.backend.errors import UnknownNameError, UnsupportedError, UserError
from weft.compiler.targets import (
    Roofline,
    check_target,
    known_rooflines,
    known_targets,
    load_machine,
    load_target,
)
from weft.compiler.targets.arithmetic import peak_flops, sram_bytes_per_s
from weft.compiler.targets.load import target_text


def test_shipped_targets_are_known_and_load():
    meshes = ("bow", "dojo_d1", "gc200", "tiny_mesh", "wormhole", "wse2", "wse3")
    assert known_targets() == meshes
    assert known_rooflines() == ("h200", "tpu_v5e")
    for name in (*known_targets(), *known_rooflines()):
        target = load_machine(name)
        assert target.name == name
        assert all(constant.source for constant in target.constants())


@pytest.mark.parametrize("name", [*known_targets(), *known_rooflines()])
def test_arithmetic_meets_every_advertised_figure(name):
    assert all(row.passed for row in check_target(load_machine(name)))


def test_a_roofline_is_no_target_of_a_plan():
    with pytest.raises(UserError, match="weft compare"):
        load_target("h200")
    chip = load_machine("h200", {"memory.bytes": "2e9"})
    assert isinstance(chip, Roofline)
    assert chip.memory.bytes == 2e9
    with pytest.raises(UnsupportedError, match="--dtype"):
        chip.macs_per_s("float64")


def test_a_file_of_an_unknown_kind_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("kind: roofing\nname: mine\n")
    with pytest.raises(UnknownNameError, match="roofline"):
        load_machine(str(path))


def test_a_wrong_constant_fails_the_arithmetic():
    target = load_target("wse2", {"sram.bytes_per_pe": "65536"})
    failed = [row.quantity for row in check_target(target) if not row.passed]
    assert failed == ["sram_bytes"]


def test_published_peaks_of_the_wafers():
    wse2, wse3 = load_target("wse2"), load_target("wse3")
    assert peak_flops(wse2, "float16", 1.1e9) == pytest.approx(7.48e15)
    assert peak_flops(wse3, "float16", 1.1e9) == pytest.approx(15.84e15)
    # 20 PB/s / 850k cores / 24 bytes per cycle = 0.98 GHz
    assert sram_bytes_per_s(wse2, 0.98e9) == pytest.approx(20e15, rel=0.001)
    assert wse2.pes == 745_500
    assert wse3.pes == 883_350


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


def test_unknown_target_names_the_closest():
    with pytest.raises(UnknownNameError, match=r"did you mean 'wse2'|did you mean 'wse3'"):
        load_target("wse")


def test_unknown_constant_names_the_closest():
    with pytest.raises(UnknownNameError, match="did you mean 'clock_hz'"):
        load_target("wse2", {"clock_mhz": "1"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("clock_hz", "fast"),
        ("clock_hz", "-1"),
        ("grid.rows", "0"),
        ("grid.rows", "997"),
        ("sram.reserved_bytes", "49152"),
        ("compute.float32.sustained_fraction", "1.5"),
    ],
)
def test_values_out_of_range_are_refused(key, value):
    with pytest.raises(UserError) as error:
        load_target("wse2", {key: value})
    assert key.split(".")[0] in error.value.where


def test_unsupported_dtype():
    with pytest.raises(UnsupportedError, match="float64"):
        load_target("wse2").arithmetic("float64")


def _document() -> dict:
    from importlib import resources

    text = (resources.files("weft.compiler.targets") / "tiny_mesh.yaml").read_text()
    return yaml.safe_load(text)


def test_target_from_a_file(tmp_path):
    document = _document() | {"name": "mine"}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    assert load_target(str(path)).name == "mine"


def _without_source(document):
    del document["noc"]["hop_cycles"]["source"]


def _bad_confidence(document):
    document["noc"]["hop_cycles"]["confidence"] = "sure"


def _extra_key(document):
    document["noc"]["hop_cycle"] = document["noc"]["hop_cycles"]


def _missing_key(document):
    del document["noc"]["hop_cycles"]


def _plain_number(document):
    document["noc"]["hop_cycles"] = 1


@pytest.mark.parametrize(
    "spoil", [_without_source, _bad_confidence, _extra_key, _missing_key, _plain_number]
)
def test_spoiled_file_is_refused_naming_the_constant(tmp_path, spoil):
    document = _document()
    spoil(document)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(UserError, match=r"noc\.hop_cycle"):
        load_target(str(path))


@pytest.mark.parametrize(
    ("path", "misspelt"),
    [
        (("noc", "hop_cycles"), "hop_cycle"),
        (("compute", "float32", "macs_per_cycle"), "mac_per_cycle"),
        (("power", "pe_peak_w"), "pe_peek_w"),
        (("noc",), "nocc"),
    ],
)
def test_a_misspelt_constant_is_named_with_what_was_meant(tmp_path, path, misspelt):
    """Not the one that is missing because of it."""
    document = yaml.safe_load(target_text("wse2"))
    block = document
    for name in path[:-1]:
        block = block[name]
    block[misspelt] = block.pop(path[-1])
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(document))
    given, meant = ".".join([*path[:-1], misspelt]), ".".join(path)
    with pytest.raises(UserError, match=rf"'{given}'(.|\n)*did you mean '{meant}'\?"):
        load_target(str(file))


def test_missing_and_malformed_files(tmp_path):
    with pytest.raises(UserError, match="target file"):
        load_target(str(tmp_path / "none.yaml"))
    path = tmp_path / "bad.yaml"
    path.write_text("a: [1")
    with pytest.raises(UserError, match="valid YAML"):
        load_target(str(path))
    path.write_text("- 1")
    with pytest.raises(UserError, match="mapping"):
        load_target(str(path))


def test_constants_replaced_in_python_are_said_to_be():
    target = load_target("wse2")
    changed = replace(target, clock_hz=1e9, noc=replace(target.noc, hop_cycles=3))
    found = {constant.name: constant for constant in changed.constants()}
    assert (found["clock_hz"].value, found["noc.hop_cycles"].value) == (1e9, 3)
    assert found["noc.hop_cycles"].source.startswith("set by")
    same = {name for name, c in found.items() if c in target.constants()}
    assert found.keys() - same == {"clock_hz", "noc.hop_cycles"}


def test_a_range_is_read_shown_and_no_part_of_the_machine(tmp_path):
    document = _document() | {"name": "mine"}
    plain = tmp_path / "plain.yaml"
    plain.write_text(yaml.safe_dump(document))
    document["clock_hz"] |= {"range": [1.0e8, 2.0e9]}
    ranged = tmp_path / "ranged.yaml"
    ranged.write_text(yaml.safe_dump(document))
    target = load_target(str(ranged))
    assert target.ranges == {"clock_hz": (1.0e8, 2.0e9)}
    assert target.hash == load_target(str(plain)).hash
    assert load_target(str(ranged), {"clock_hz": "1e9"}).ranges == {}


@pytest.mark.parametrize("ends", [[1, 2], [2.0e9, 1.0e8], [1], "wide", [1.0e8, "x"]])
def test_a_range_that_is_none_is_refused(tmp_path, ends):
    document = _document() | {"name": "mine"}
    document["clock_hz"] |= {"range": ends}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(UserError, match=r"clock_hz\n.*range: \[low, high\] around"):
        load_target(str(path))


def test_the_clock_of_wse3_is_that_of_its_counter():
    """1,037,474 cycles in 1,382.9 us; the vendor's figures for the wafer bound it from above."""
    wse3 = load_target("wse3")
    assert wse3.clock_hz == pytest.approx(1_037_474 / 1382.9e-6, rel=0.001)
    assert wse3.ranges["clock_hz"] == (wse3.clock_hz, wse3.clock_max_hz)
    assert 2 * wse3.wafer_link.latency_s == pytest.approx(171e-6)


def test_the_sustained_rate_of_wse3_is_that_of_its_ports():
    """A group of 8 halves reads two vectors of 16 B and writes one."""
    wse3 = load_target("wse3")
    rate = wse3.arithmetic("float16")
    group_bytes = 2 * rate.macs_per_cycle
    reads = 2 * group_bytes / wse3.sram.read_bytes_per_cycle
    writes = group_bytes / wse3.sram.write_bytes_per_cycle
    assert rate.sustained_fraction == 1 / max(reads, writes)


def test_a_mesh_without_a_relay_gets_one_that_is_marked(tmp_path):
    lines = [line for line in target_text("tiny_mesh").splitlines() if "relay_cycles" not in line]
    (file := tmp_path / "mesh.yaml").write_text("\n".join(lines))
    target = load_target(str(file))
    relay = {c.name: c for c in target.constants()}["noc.relay_cycles"]
    assert (relay.value, relay.confidence) == (1.0, "derived")
    rates = {f"compute.{dtype}.elements_per_cycle": "0.25" for dtype in target.compute}
    assert load_target(str(file), rates).noc.relay_cycles == 4.0
