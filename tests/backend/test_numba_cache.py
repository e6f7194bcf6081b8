"""A process loads what an earlier one has compiled, and compiles what the cache lacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MODULE = """
from numba import njit
from weft.backend.numba_cache import loaded_first

@loaded_first
@njit(cache=True)
def squares(values):
    return values * values
"""
SCRIPT = """
import numpy
from numba.core.cpu import CPUContext
from squares import squares

set_up = []
refresh = CPUContext.refresh
CPUContext.refresh = lambda self: (set_up.append(self), refresh(self))
print(squares(numpy.arange(4)).tolist(), bool(set_up), sum(squares.stats.cache_hits.values()))
print(squares(numpy.arange(4.0)).tolist(), sum(squares.stats.cache_hits.values()))
"""


def printed(folder: Path) -> list[str]:
    (folder / "squares.py").write_text(MODULE)
    command = [sys.executable, "-c", SCRIPT]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_what_was_compiled_is_loaded_and_nothing_else_set_up(tmp_path: Path) -> None:
    cold = printed(tmp_path)
    assert cold == ["[0, 1, 4, 9] True 0", "[0.0, 1.0, 4.0, 9.0] 0"]
    assert printed(tmp_path) == ["[0, 1, 4, 9] False 1", "[0.0, 1.0, 4.0, 9.0] 2"]


def test_what_the_cache_lacks_is_compiled_after_something_was_loaded(tmp_path: Path) -> None:
    (tmp_path / "squares.py").write_text(MODULE)
    first = "import numpy, squares; squares.squares(numpy.arange(4))"
    subprocess.run([sys.executable, "-c", first], cwd=tmp_path, check=True)
    assert printed(tmp_path) == ["[0, 1, 4, 9] False 1", "[0.0, 1.0, 4.0, 9.0] 1"]
