"""Tables, JSON and timed steps."""

from __future__ import annotations

import contextlib
import json
import re

import pytest
from weft.cli.terminal.console import Steps, print_records


def test_records_are_a_table_or_objects(capsys: pytest.CaptureFixture) -> None:
    rows = [("a", 1), ("b", 2)]
    print_records(("name", "count"), rows, as_json=True)
    assert json.loads(capsys.readouterr().out) == [
        {"name": "a", "count": 1},
        {"name": "b", "count": 2},
    ]
    print_records(("name", "count"), rows, as_json=False)
    assert capsys.readouterr().out.splitlines()[0].split() == ["name", "count"]


def test_each_step_is_told_once_and_none_that_failed(capsys: pytest.CaptureFixture) -> None:
    with Steps() as step:
        step("capture")
        step("map")
    lines = capsys.readouterr().err.splitlines()
    assert [re.sub(r"[\d.]+", "0", line).split() for line in lines] == [
        ["capture", "0", "s"],
        ["map", "0", "s"],
    ]
    with contextlib.suppress(KeyError), Steps() as step:
        step("broken")
        raise KeyError
    assert "broken" not in capsys.readouterr().err
