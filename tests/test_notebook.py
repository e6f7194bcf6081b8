"""docs/quickstart.ipynb runs in a kernel, and the outputs that it is stored with are its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "quickstart.ipynb"
RUN = """
import json, sys
import nbformat
from nbclient import NotebookClient
book = nbformat.read(sys.argv[1], 4)
NotebookClient(book, timeout=300, kernel_name="python3").execute()
print(nbformat.writes(book))
"""


def outputs(book: dict) -> list[list[str]]:
    """Text of each code cell's outputs."""
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    return [
        ["".join(o.get("text", o.get("data", {}).get("text/plain", ""))) for o in cell["outputs"]]
        for cell in cells
    ]


def test_the_notebook_runs_as_it_is_stored(tmp_path: Path) -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(PAGE)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    stored, found = outputs(json.loads(PAGE.read_text())), outputs(json.loads(done.stdout))
    assert [len(cell) for cell in found] == [len(cell) for cell in stored]
    assert stored[0][0].startswith("Plan(Sequential on wse2: 3 stages")
    plan, report, stages, machines = (cell[0].splitlines() for cell in found[:4])
    assert plan[0].split(", ")[-1] == report[0].split(", ")[-1]
    assert len(stages) == 4
    assert [part.split()[0] for part in machines[0].split("(")[1].split(", ")] == [
        *("wse2", "wse3", "h200")
    ]
    assert "test_accuracy" in found[4][0]
