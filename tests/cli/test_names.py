"""What can be known to be wrong is said before torch is imported."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import plans
from weft.compiler.plan.files import document_text

PLAN = replace(plans.chain([(10, 20, 5), (30, 40, 10)]), recipe={"model": "mlp"})
SCRIPT = """
import sys
from weft.cli.app import app_of
try:
    app_of()(sys.argv[1:], prog_name="weft")
except SystemExit as end:
    print(end.code, "torch" in sys.modules)
"""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("compile resnet2", "did you mean 'resnet20'"),
        ("compile no_such.yaml", "no such file"),
        ("compile no_such.py:f", "no such file"),
        ("compile mine.py", "say which one of it: mine.py:net"),
        ("compile mine.py:nett", "did you mean 'net'"),
        ("compile mlp --set loss=mine.py:loss", "unknown loss in mine.py"),
        ("compile mlp --print-after cutt", "did you mean 'cut'"),
        ("train plan --data x_only.npz", "no y_train, x_test, y_test, but x_train"),
        ("predict plan --data x_only.npz", "no x_test, but x_train"),
        ("compile mlp --target wse9", "unknown target 'wse9'"),
        ("compile mlp --weights no_such.safetensors", "no such file"),
        ("compile mlp -o full", "one that holds thesis.tex"),
        ("compile mlp -o full/thesis.tex", "a file"),
        ("compile mlp -o full/thesis.tex/plan", "which is a file"),
        ("compile mlp --weights text.npz", "save other formats as safetensors first"),
        ("compile mlp --set sparsty=0.5", "did you mean 'sparsity'"),
        ("compile mlp --set input.shape=3,32,32", "a list in brackets"),
        ("compile mlp --set input.shape=[0]", "correct input.shape,"),
        ("compile mlp --set target.clock_hz=-1", "greater than 0"),
        ("compile mlp --set target.no_such=1", "unknown constant of target wse2"),
        ("train plan --data no_such.npz", "no such file"),
        ("train plan --data digit", "did you mean 'digits'"),
        ("train plan --checkpoint text.npz", "expected: a folder"),
        ("train plan --log text.npz", "expected: a folder"),
        ("train plan --resume no_such", "no such folder"),
        ("train plan --set epochs=-1", "greater than 0"),
        ("predict plan --data no_such.npz", "no such file"),
        ("compare resnet2", "did you mean 'resnet20'"),
        ("train no_such --data digits", "no such file"),
        ("predict no_such --data digits", "no such file"),
        ("demo --executor tf", "unknown executor 'tf'"),
        ("sweep mlp --set target.no_such=[1,2]", "unknown constant of target wse2"),
        ("sweep mlp --set sparsity=0:0.9", "LOW:HIGH:STEP"),
        ("sweep mlp --set sparsity=[0,0.5] -o full", "a folder with other files"),
        ("sweep mlp --search optun --points 3", "did you mean 'optuna'"),
        ("simulate no_such --report no_folder/r.html", "no folder no_folder"),
    ],
)
def test_a_mistake_is_told_at_once(tmp_path: Path, words: str, message: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "mine.py").write_text("from torch import nn\n\ndef net():\n    return nn.ReLU()\n")
    np.savez(tmp_path / "x_only.npz", x_train=np.zeros((3, 4), np.float32))
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "plan.yaml").write_text(document_text(PLAN))
    command = [sys.executable, "-c", SCRIPT, *words.split()]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert message in ran.stderr
    assert ran.stdout.split() == ["2", "False"]
