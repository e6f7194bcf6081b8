"""The process of a verb: its code, and what it still does at its end."""

from __future__ import annotations

import subprocess
import sys

import pytest

LEAVING = """
import atexit, sys
import weft.cli.main as cli

def verb(**_):
    atexit.register(print, "what was registered later")
    {end}

cli.app_of = lambda *_: verb
cli.main()
"""


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("sys.exit(0)", 0, ""),
        ("sys.exit(2)", 2, ""),
        ("raise ValueError('a defect')", 1, "a defect"),
    ],
)
def test_the_process_ends_with_the_code_of_the_verb(end: str, code: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVING.format(end=end)], capture_output=True, text=True
    )
    assert done.returncode == code
    assert done.stdout == "what was registered later\n"
    assert said in done.stderr
