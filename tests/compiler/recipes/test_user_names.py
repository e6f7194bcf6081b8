"""Names that a user's file lacks are told from its text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from weft.backend.errors import UnknownNameError, UserError
from weft.compiler.recipes.user_names import check_named, names_in

MODELS = """
import torch
from torch import nn
from elsewhere import imported

def small(width=3): ...
def _hidden(): ...
class Large(nn.Module): ...
ready = nn.Linear(4, 3)
WIDTHS = [4, 3]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MODELS)
    return tmp_path


@pytest.mark.parametrize("name", ["small", "Large", "ready", "imported", "_hidden", "WIDTHS"])
def test_names_that_a_file_has_pass(name: str) -> None:
    check_named(f"mine.py:{name}", "model")
    check_named(f"mine:{name}", "model")


@pytest.mark.parametrize("name", ["mlp", "cross_entropy", "no_such.py:f", "no.such:f", "no_such:f"])
def test_names_without_a_file_here_pass(name: str) -> None:
    check_named(name, "model")


@pytest.mark.parametrize("module", ["mine.py", "mine"])
def test_a_name_that_a_file_lacks_is_told_with_those_it_has(module: str) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'small'") as error:
        check_named(f"{module}:smal", "model")
    assert error.value.expected == "one of small, Large, ready"


@pytest.mark.parametrize(
    "line", ["from torch import *", "globals()['x' + 'y'] = 1", "exec('xy=1')"]
)
def test_a_file_that_makes_names_as_it_runs_is_left_alone(folder: Path, line: str) -> None:
    (folder / "mine.py").write_text(f"{MODELS}\n{line}\n")
    check_named("mine.py:xy", "model")


def test_a_file_that_is_no_python_is_told_with_its_line(folder: Path) -> None:
    (folder / "mine.py").write_text("\n\ndef f(:\n")
    with pytest.raises(UserError) as error:
        check_named("mine.py:f", "loss")
    assert error.value.where == f"loss mine.py:f, {folder / 'mine.py'}, line 3"
    assert names_in(folder / "mine.py") == ()


def test_names_of_a_file_are_those_at_its_top() -> None:
    assert names_in(Path("mine.py")) == ("small", "Large", "ready")


def test_nothing_is_imported() -> None:
    code = (
        "import sys; from weft.compiler.recipes.user_names import check_named;"
        " check_named('mine.py:small', 'model'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
