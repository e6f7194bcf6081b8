"""While nothing is written, the last line of a terminal says for how long; then it is as it was."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import time

import pytest
from weft.cli.terminal.heartbeat import Heartbeat


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    @property
    def screen(self) -> list[str]:
        """The lines that one would see."""
        lines = []
        for line in self.getvalue().split("\n"):
            seen = ""
            for part in line.split("\r"):
                seen = part + seen[len(part) :]
            lines.append(seen.rstrip())
        return lines


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def test_an_open_line_goes_on_and_is_restored(terminal: Terminal) -> None:
    heart = Heartbeat(terminal, "weft compile")
    heart.write(terminal, "done\n  capture ...")
    heart.beat(time.monotonic() + 5)
    assert terminal.screen == ["done", "  capture ... 5 s"]
    heart.beat(time.monotonic() + 16)
    assert terminal.screen == ["done", "  capture ... 16 s"]
    heart.write(terminal, "\r  capture   16.21 s\n")
    assert terminal.screen == ["done", "  capture   16.21 s", ""]


def test_after_a_line_that_counts_the_seconds_stand_apart(terminal: Terminal) -> None:
    heart = Heartbeat(terminal, "weft train")
    heart.write(terminal, "\r  128/1,437 samples  ")
    heart.beat(time.monotonic() + 3)
    assert terminal.screen == ["  128/1,437 samples ... 3 s"]
    heart.write(terminal, "\r  256/1,437 samples  ")
    assert terminal.screen == ["  256/1,437 samples"]


def test_after_a_whole_line_the_verb_is_named_and_gone_before_the_next_word(
    terminal: Terminal,
) -> None:
    heart = Heartbeat(terminal, "weft train")
    heart.write(terminal, "training\n")
    heart.beat(time.monotonic() + 3)
    assert terminal.screen == ["training", "  weft train ... 3 s"]
    heart.write(terminal, "on\n")
    assert terminal.screen == ["training", "on", ""]


def test_output_elsewhere_counts_as_a_word_and_a_short_pause_is_none(terminal: Terminal) -> None:
    heart, file = Heartbeat(terminal, "weft show"), io.StringIO()
    heart.write(file, "plan\n")
    heart.beat(time.monotonic() + 1)
    assert (terminal.getvalue(), file.getvalue()) == ("", "plan\n")


def test_a_terminal_sees_a_line_that_moves_within_three_seconds() -> None:
    """A pipe sees nothing of it."""
    code = (
        "import time; from weft.cli.terminal.heartbeat import heartbeat\n"
        "with heartbeat('weft wait'): time.sleep(3.2)\n"
        "print('end')"
    )
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", code], stderr=theirs, stdout=theirs, check=True)
    said = os.read(ours, 1000).decode()
    assert re.search(r"weft wait \.\.\. [2-3] s", said)
    assert said.endswith("\rend\r\n")
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (piped.stdout, piped.stderr) == ("end\n", "")
