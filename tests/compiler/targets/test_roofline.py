"""A chip as a roofline: peaks, bandwidth and size of the memory, nothing between them."""

from __future__ import annotations

import pytest
from weft.backend.errors import UnsupportedError, UserError
from weft.compiler.targets import Roofline, load_machine, load_target


def test_a_roofline_is_no_target_of_a_plan():
    with pytest.raises(UserError, match="weft compare"):
        load_target("h200")
    chip = load_machine("h200", {"memory.bytes": "2e9"})
    assert isinstance(chip, Roofline)
    assert chip.memory.bytes == 2e9
    with pytest.raises(UnsupportedError, match="--dtype"):
        chip.macs_per_s("float64")
