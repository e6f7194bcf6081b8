"""What is wrong with the constants of a target file, in the voice of all errors."""

from __future__ import annotations

import pytest
import yaml
from weft.backend.errors import UnknownNameError, UserError
from weft.compiler.targets import load_target
from weft.compiler.targets.load import target_text


def test_unknown_target_names_the_closest():
    with pytest.raises(UnknownNameError, match=r"did you mean 'wse2'|did you mean 'wse3'"):
        load_target("wse")


def test_unknown_constant_names_the_closest():
    with pytest.raises(UnknownNameError, match="did you mean 'clock_hz'"):
        load_target("wse2", {"clock_mhz": "1"})


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
