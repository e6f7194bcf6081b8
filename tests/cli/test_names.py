"""What can be known to be wrong is said before torch is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from weft.cli.main import app
try:
    app(sys.argv[1:], prog_name="weft")
except SystemExit as end:
    print(end.code, "torch" in sys.modules)
"""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("compile resnet2", "did you mean 'resnet20'"),
        ("compile no_such.yaml", "no such file"),
        ("compile no_such.py:f", "no such file"),
        ("compile mlp --target wse9", "unknown target 'wse9'"),
        ("compile mlp --weights no_such.safetensors", "no such file"),
        ("compile mlp -o full", "one that holds thesis.tex"),
        ("compile mlp -o full/thesis.tex", "a file"),
        ("compile mlp -o full/thesis.tex/plan", "which is a file"),
        ("compare resnet2", "did you mean 'resnet20'"),
        ("train no_such --data digits", "no such file"),
        ("predict no_such --data digits", "no such file"),
        ("demo --executor tf", "unknown executor 'tf'"),
        ("simulate no_such --report no_folder/r.html", "no folder no_folder"),
    ],
)
def test_a_mistake_is_told_at_once(tmp_path: Path, words: str, message: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    command = [sys.executable, "-c", SCRIPT, *words.split()]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert message in ran.stderr
    assert ran.stdout.split() == ["2", "False"]
