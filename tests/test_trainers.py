"""docs/trainers.md: each program runs in a process of its own, as a reader would start it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "trainers.md"
PROGRAMS = dict(re.findall(r"^## (.*?)\n.*?```python\n(.*?)```", PAGE.read_text(), re.M | re.S))
NEEDED = {
    "The Trainer of transformers": ("transformers", "accelerate"),
    "Lightning": ("lightning",),
    "Accelerate": ("accelerate",),
}


def test_every_program_is_known():
    assert PROGRAMS.keys() == NEEDED.keys()


@pytest.mark.parametrize("name", NEEDED)
def test_a_program_of_the_page_runs(name, tmp_path):
    for package in NEEDED[name]:
        pytest.importorskip(package)
    # torch_xla, imported by another test of this process, leaves its settings in the environment.
    own = {k: v for k, v in os.environ.items() if not k.startswith(("TPU_", "PJRT_", "XLA_"))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAMS[name]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**own, "USE_TORCH_XLA": "0"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "samples/s" in done.stdout
