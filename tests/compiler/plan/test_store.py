from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys

import pytest
import torch
import weft
from helpers.stored_plan import RECIPE, sparse_plan
from weft.backend.errors import PlanFileError, UserError
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe


@pytest.fixture(scope="module")
def plan():
    return sparse_plan()


@pytest.fixture
def directory(plan, tmp_path):
    return plan.save(tmp_path / "plan")


def _content(directory):
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def test_a_plan_survives_the_disk(plan, directory):
    again = weft.load(directory)
    assert again.document.stages == plan.document.stages
    assert again.document.totals == plan.document.totals
    assert again.delays() == plan.delays()
    for name, tensor in plan.tensors.items():
        assert torch.equal(again.tensors[name], tensor)
    assert again.masks.keys() == plan.masks.keys()
    for name, mask in plan.masks.items():
        assert torch.equal(again.masks[name], mask)
        assert torch.all(again.tensors[name][~mask] == 0)


def test_the_same_input_gives_the_same_bytes(plan, directory, tmp_path):
    other = compile_recipe(make_recipe(RECIPE)).save(tmp_path / "other")
    assert _content(other) == _content(directory)


def test_another_process_gives_the_same_bytes(directory, tmp_path):
    """Another hash seed, another working directory."""
    code = (
        "import json, sys\n"
        "from weft.compiler.recipes.build import compile_recipe\n"
        "from weft.compiler.recipes.read import make_recipe\n"
        "compile_recipe(make_recipe(json.loads(sys.argv[1]))).save(sys.argv[2])\n"
    )
    other = tmp_path / "other"
    subprocess.run(
        [sys.executable, "-c", code, json.dumps(RECIPE), str(other)],
        check=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONHASHSEED": "17"},
    )
    assert _content(other) == _content(directory)


@pytest.mark.parametrize("damage", ["remove", "alter"])
def test_every_damaged_file_is_refused_by_name(directory, damage):
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        kept = path.read_bytes()
        if damage == "remove":
            path.unlink()
        else:
            path.write_bytes(kept[:-3] + b"x" + kept[-2:])
        with pytest.raises(PlanFileError, match=re.escape(path.stem)):
            weft.load(directory)
        path.write_bytes(kept)
    weft.load(directory)


def test_the_seal_is_what_sha256sum_reads(directory):
    content = (directory / "plan.yaml").read_bytes()
    expected = f"{hashlib.sha256(content).hexdigest()}  plan.yaml\n"
    assert (directory / "plan.sha256").read_text() == expected


def test_a_missing_directory_is_refused(tmp_path):
    with pytest.raises(PlanFileError, match="nowhere"):
        weft.load(tmp_path / "nowhere")


def test_saving_replaces_a_plan_but_nothing_else(plan, directory, tmp_path):
    plan.save(directory)
    weft.load(directory)
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "cat.jpg").write_bytes(b"meow")
    with pytest.raises(UserError, match="photos"):
        plan.save(foreign)
    assert _content(foreign) == {"cat.jpg": b"meow"}


def test_an_interrupted_save_leaves_the_old_plan_and_no_litter(plan, directory, monkeypatch):
    before = _content(directory)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("weft.compiler.plan.atomic_output._put_in_place", interrupted)
    with pytest.raises(KeyboardInterrupt):
        plan.save(directory)
    assert _content(directory) == before
    assert [path.name for path in directory.parent.iterdir()] == ["plan"]


def test_loading_does_not_need_the_models_source(directory, tmp_path):
    """The model is in a module that only the compiling process can import."""
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))\n"
    )
    make = (
        "from weft.compiler.recipes.build import compile_recipe\n"
        "from weft.compiler.recipes.read import make_recipe\n"
        "compile_recipe(make_recipe({'model': 'mine:net', 'target': 'tiny_mesh',\n"
        "    'input': {'shape': [1, 8, 8], 'classes': 10}})).save('plan')\n"
    )
    subprocess.run([sys.executable, "-c", make], check=True, cwd=tmp_path)
    (tmp_path / "mine.py").unlink()
    loaded = weft.load(tmp_path / "plan")
    assert len(loaded.stages) == 3
