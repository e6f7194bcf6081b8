"""A line that says where something is: rewritten on a terminal, seldom anywhere else."""

from __future__ import annotations

import io
import sys

import pytest
from weft.backend.live_line import LiveLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_line_is_rewritten_and_the_last_one_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    show = LiveLine()
    show("a long beginning")
    show("the end", final=True)
    assert shown.getvalue() == "\ra long beginning\rthe end         \n"


def test_elsewhere_lines_are_few_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", shown := io.StringIO())
    show = LiveLine(every_s=3600)
    for step in range(100):
        show(f"step {step}")
    show("done", final=True)
    assert shown.getvalue() == "step 0\ndone\n"
