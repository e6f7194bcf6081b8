"""A mutation run over a repository of one module."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray")

from weft.backend.errors import UserError
from weft.bench.mutation import mirrored_tests, mutants, trials

MODULE = """from __future__ import annotations

LEAST: int | None = 3


def clipped(value: int | None) -> int:
    return max(value or 0, LEAST)
"""
TESTS = """from scale import clipped


def test_clipped() -> None:
    assert clipped(5) == 5
    assert clipped(None) > 0
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {"scale.py": MODULE, "tests/test_scale.py": TESTS}
    files |= {"pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n'}
    for name, text in files.items():
        (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / name).write_text(text)
    return tmp_path / "from"


def test_annotations_are_not_mutated(root: Path) -> None:
    lines = [mutant.line for mutant in mutants("scale.py", root)]
    assert "LEAST: int | None = 3 -> LEAST: int | None = 4" in lines
    assert all("|" not in line.partition("->")[2].replace("int | None", "") for line in lines)
    assert len(lines) == len(set(lines))


def test_what_no_test_notices_survives(root: Path, tmp_path: Path) -> None:
    tried = {t.mutant.line: t.is_killed for t in trials(["scale.py"], 60, 0, tmp_path, root)}
    survived = [line for line, is_killed in tried.items() if not is_killed]
    assert "LEAST: int | None = 3 -> LEAST: int | None = 4" in survived
    change = "return max(value or 0, LEAST) -> return max(value and 0, LEAST)"
    assert tried[change]
    assert (root / "scale.py").read_text() == MODULE


def test_tests_that_fail_by_themselves_are_refused(root: Path, tmp_path: Path) -> None:
    (root / "tests" / "test_scale.py").write_text("def test_it():\n    assert 0\n")
    with pytest.raises(UserError, match="without a mutant"):
        next(trials(["scale.py"], 60, 0, tmp_path, root))
    with pytest.raises(UserError, match="mirrored place"):
        mirrored_tests("other.py", root)
