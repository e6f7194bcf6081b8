"""What a measurement was made on, in a line."""

from __future__ import annotations

import os
import platform

import torch
from weft.bench.machine import machine_line


def test_the_line_names_cores_and_versions() -> None:
    line = machine_line()
    assert "\n" not in line
    assert f"{os.cpu_count()} cores" in line
    assert f"python {platform.python_version()}" in line
    assert f"torch {torch.__version__.partition('+')[0]}" in line
