"""Exceptions as messages and exit codes."""

from __future__ import annotations

import pytest
from weft.backend.errors import InfeasibleError, UserError
from weft.cli.terminal.failure import USER_MISTAKE, explain

PARTS = {"expected": "a", "got": "b", "change": "c"}


def test_mistakes_have_a_message_and_defects_have_none(capsys: pytest.CaptureFixture) -> None:
    assert explain(UserError("here", **PARTS)) == USER_MISTAKE
    assert capsys.readouterr().err.startswith("error: here")
    assert explain(InfeasibleError("large", **PARTS, report=lambda: "line by line")) == USER_MISTAKE
    assert "line by line" in capsys.readouterr().err
    assert explain(FileNotFoundError(2, "No such file", "some.plan")) == USER_MISTAKE
    assert "some.plan" in capsys.readouterr().err
    assert explain(OSError("no file in it")) is None
    assert explain(ZeroDivisionError()) is None
    assert capsys.readouterr().err == ""
