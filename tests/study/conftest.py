"""The contest's worked example as files."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.contest_example import INSTANCE, SOLUTION


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    instance, solution = tmp_path / "a.kgraph", tmp_path / "a.solution"
    instance.write_text(INSTANCE)
    solution.write_text(SOLUTION)
    return instance, solution
