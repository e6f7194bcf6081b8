"""What is written on a line is read back as it was."""

from __future__ import annotations

import math

import pytest
from weft.backend.yaml_text import as_yaml, read_yaml

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


@pytest.mark.parametrize("text", ["0:0.9", "1:30", "-2:30:1.5", "12:30:45", "2020-01-02"])
def test_what_has_colons_or_dashes_is_no_number_of_base_60_and_no_date(text):
    assert read_yaml(text) == text
    assert read_yaml(f"[{text}, 3]") == [text, 3]


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5), ("-7", -7), ("0x10", 16), ("1_000", 1000), ("1.5", 1.5), (".5", 0.5), ("2.", 2.0)],
)
def test_other_numbers_are_numbers(text, value):
    found = read_yaml(text)
    assert (found, type(found)) == (value, type(value))


def test_infinities_are_numbers():
    assert read_yaml("[.inf, -.inf]") == [math.inf, -math.inf]
    assert math.isnan(read_yaml(".nan"))


def test_numbers_are_those_of_yaml_1_2():
    assert read_yaml("1e-3") == 0.001
