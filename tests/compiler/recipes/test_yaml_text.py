"""What is written on a line is read back as it was."""

from __future__ import annotations

import pytest
from weft.compiler.recipes.yaml_text import as_yaml, read_yaml

VALUES = [
    1e-8,
    1e-30,
    None,
    "online",
    [3, 32, 32],
    {"b": 1, "a": "x: y"},
    True,
    "1e-3",
    "1e9",
    "on",
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_are_read_back(value):
    assert read_yaml(as_yaml(value)) == value
    assert "\n" not in as_yaml(value)


def test_numbers_are_those_of_yaml_1_2():
    assert read_yaml("1e-3") == 0.001
