"""numba's import leaves scipy's linear algebra out, and products still find it."""

from __future__ import annotations

import subprocess
import sys

IMPORT = """
import sys
from weft.backend.light_numba import import_numba
import_numba()
assert "numba" in sys.modules
print("scipy.linalg" in sys.modules)
"""
PRODUCT = """
import numba, numpy
@numba.njit
def product(a):
    return a @ a
print(product(numpy.array([[1.0, 2.0], [3.0, 4.0]])).tolist())
print("scipy.linalg" in sys.modules)
"""


def output(code: str) -> list[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")


def test_products_import_what_was_left_out() -> None:
    assert output(IMPORT + PRODUCT)[:3] == ["False", "[[7.0, 10.0], [15.0, 22.0]]", "True"]


def test_numba_that_is_there_stays() -> None:
    assert output("import numba, scipy.linalg\n" + IMPORT)[:1] == ["True"]
