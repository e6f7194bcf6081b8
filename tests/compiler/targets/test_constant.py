"""A hardware constant with its source and how firm it is."""

from __future__ import annotations

import pytest
import yaml
from helpers.target_document import target_document
from weft.backend.errors import UserError
from weft.compiler.targets import load_target


def test_a_range_is_read_shown_and_no_part_of_the_machine(tmp_path):
    document = target_document() | {"name": "mine"}
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
    document = target_document() | {"name": "mine"}
    document["clock_hz"] |= {"range": ends}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(UserError, match=r"clock_hz\n.*range: \[low, high\] around"):
        load_target(str(path))
