"""Importing `weft.backend.ops` registers every operator that a plan may hold."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import weft.backend.ops

FILES = Path(weft.backend.ops.__file__).parent.glob("*.py")
DEFINED = {
    name
    for file in FILES
    for name in re.findall(r"\.define\(\s*\"(\w+)\(", file.read_text(encoding="utf-8"))
}


def test_the_package_alone_registers_all_operators() -> None:
    assert {"online_norm", "uniform", "local_loss", "routed_mm", "routed_mm_weight"} <= DEFINED
    script = (
        "import sys, torch, weft.backend.ops;"
        "print(*(name for name in sys.argv[1:] if not hasattr(torch.ops.weft, name)))"
    )
    command = [sys.executable, "-c", script, *sorted(DEFINED)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
