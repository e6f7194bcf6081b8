"""docs/house.md is true, its example runs, and the house is as it says."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import weft

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "house.md").read_text()
FOLDERS = ("backend", "bench", "cli", "compiler", "runtime", "sim", "study")
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
LARGER: dict[str, int] = {}
"""Folders of more than 20 files, and how many they may hold at most."""


def test_files_that_the_page_names_exist():
    named = re.findall(r"`([a-z_/]+(?:\.py|/))`", PAGE)
    assert len(named) > 30
    for path in named:
        assert (ROOT / path).exists(), path


def test_the_page_has_every_folder_in_the_order_of_the_contract():
    listed = re.findall(r"^\| `(\w+)/` \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(FOLDERS)
    contract = _contract("one import direction")
    layers = [layer.removeprefix("weft.").split(" | weft.") for layer in reversed(contract)]
    for layer in layers:
        assert listed[: len(layer)] == layer
        listed = listed[len(layer) :]


@pytest.mark.parametrize("folder", ["compiler", "runtime", "sim"])
def test_the_page_has_the_folders_inside_in_the_order_of_the_contract(folder):
    contract = _contract(f"{folder}: folders in the order")
    layers = [re.findall(rf"weft\.{folder}\.(\w+)", layer) for layer in reversed(contract)]
    text = PAGE[PAGE.index(f"Within `{folder}/`") :].split(".\n")[0]
    order = [text.find(name) for layer in layers for name in layer[:1]]
    found = [place for place in order if place >= 0]
    assert len(found) > 3
    assert found == sorted(found)


def test_the_example_runs(tmp_path):
    pytest.importorskip("jax")
    pytest.importorskip("sklearn")
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-4


def test_folders_are_small():
    counts = Counter(str(path.parent.relative_to(ROOT)) for path in SOURCES)
    assert {name: n for name, n in counts.items() if n > LARGER.get(name, 20)} == {}


def test_most_files_are_tested_where_they_are_found():
    files = [path.relative_to(ROOT) for path in SOURCES if path.name != "__init__.py"]
    tested = [(ROOT / "tests" / f.parent / f"test_{f.name}").exists() for f in files]
    assert sum(tested) >= 0.7 * len(tested)


SIGNATURES = {
    "compare": "model, example_inputs, loss=, targets=, options=, *, samples=, batch=",
    "compile": "model, example_inputs, loss=, target=, options=",
    "load": "directory, *, allow_edited=",
    "load_weights": "plan, source",
    "plan_of": "compiled",
    "plans_of": "compiled",
    "predict": "plan, inputs, *, executor=, device=",
    "simulate": "plan, samples=, level=",
    "train": "plan, data, *, executor=, device=, devices=, epochs=, mode=, settings=, on_start=,"
    " on_progress=, checkpoint=, every=, keep=, resume=, log=, tensorboard=,"
    " progress=",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_public_signatures_are_frozen(name):
    found, is_keyword = [], False
    for parameter in inspect.signature(getattr(weft, name)).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not is_keyword:
            is_keyword = True
            found.append("*")
        found.append(parameter.name + "=" * (parameter.default is not parameter.empty))
    assert ", ".join(found) == SIGNATURES[name]


def _contract(name):
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return next(c["layers"] for c in contracts["contracts"] if c["name"].startswith(name))
