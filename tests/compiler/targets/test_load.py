from __future__ import annotations

import pytest
import yaml
from helpers.target_document import target_document
from weft.backend.errors import UnknownNameError, UserError
from weft.compiler.targets import known_rooflines, known_targets, load_machine, load_target
from weft.compiler.targets.load import vendor_of


def test_shipped_targets_are_known_and_load():
    meshes = ("bow", "dojo_d1", "gc200", "tiny_mesh", "wormhole", "wse2", "wse3")
    assert known_targets() == meshes
    assert known_rooflines() == ("h200", "tpu_v5e")
    for name in (*known_targets(), *known_rooflines()):
        target = load_machine(name)
        assert target.name == name
        assert target.vendor == vendor_of(name)
        assert all(constant.source for constant in target.constants())


def test_a_file_of_an_unknown_kind_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("kind: roofing\nname: mine\n")
    with pytest.raises(UnknownNameError, match="roofline"):
        load_machine(str(path))


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


def test_target_from_a_file(tmp_path):
    document = target_document() | {"name": "mine"}
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
    document = target_document()
    spoil(document)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(UserError, match=r"noc\.hop_cycle"):
        load_target(str(path))


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
