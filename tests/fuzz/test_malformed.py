"""2,000 malformed recipes, targets and plans: each is refused with one message, or is still sound.

A UserError is the one thing that may come out of a reader. What a reader takes, everything that
reads further must take, too.
"""

from __future__ import annotations

import hashlib
import json
import random
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.malformed import damaged_bytes, damaged_data, damaged_text
from weft.backend.errors import UserError
from weft.compiler.plan.check import check
from weft.compiler.plan.files import accept, is_edited
from weft.compiler.plan.store import load
from weft.compiler.plan.text.diff import diff
from weft.compiler.plan.text.diff_text import diff_text
from weft.compiler.plan.text.show import show, show_stage
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import load_recipe, make_recipe
from weft.compiler.targets.load import load_target

RECIPES, TARGETS, PLANS = 1000, 600, 400
TARGET_FILES = ("tiny_mesh.yaml", "tiny_mesh.yaml", "tiny_mesh.yaml", "wse2.yaml")
PARTS = 10
"""Each thousand is cut up, so that a failure is found again in a second."""

RECIPE = """\
model: {name: mlp, options: {width: 16}}
input: {shape: [1, 8, 8], classes: 10}
normalization: {kind: online, alpha_fwd: 0.999, ecm: clamp}
sparsity:
  algorithm: static
  sparsity: 0.5
  init_method: random
optimizer: {name: sgdm, lr: 1e-2, schedule: {kind: multistep, milestones: [0.5, 0.8]}}
pipeline: {granularity: finest, compensation: sc+lwp, stages: []}
target: {name: tiny_mesh, overrides: {clock_hz: "2e9"}}
training: {clip_norm: 1.0}
epochs: 2
seed: 3
"""


def _refused(read: Any, *arguments: Any) -> UserError | None:
    """The one message, or None if the file was taken; any other exception fails the test."""
    try:
        read(*arguments)
    except UserError as error:
        message = error
    else:
        return None
    assert str(message).count("\n  change:   ") == 1, message
    assert len(str(message)) < 20_000, message
    return message


def _file(path: Path, text: str, rng: random.Random) -> Path:
    if rng.random() < 0.5:
        path.write_bytes(damaged_text(text, rng))
    else:
        path.write_bytes(_dump(damaged_data(yaml.load(text, yaml.CSafeLoader), rng)))
    return path


def _dump(data: Any) -> bytes:
    return yaml.dump(data, Dumper=yaml.CSafeDumper, allow_unicode=True).encode()


def test_the_undamaged_recipe_is_taken(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    assert load_recipe(tmp_path / "recipe.yaml").epochs == 2


@pytest.mark.parametrize("part", range(PARTS))
def test_recipes(part: int, tmp_path: Path) -> None:
    refused = 0
    for number in range(part, RECIPES, PARTS):
        path = _file(tmp_path / "recipe.yaml", RECIPE, random.Random(f"recipe {number}"))
        refused += _refused(load_recipe, path) is not None
    assert refused > RECIPES / PARTS / 3


@pytest.mark.parametrize("part", range(PARTS))
def test_targets(part: int, tmp_path: Path) -> None:
    folder, refused = resources.files("weft.compiler.targets"), 0
    for number in range(part, TARGETS, PARTS):
        rng = random.Random(f"target {number}")
        text = (folder / rng.choice(TARGET_FILES)).read_text()
        path = str(_file(tmp_path / "target.yaml", text, rng))
        refused += _refused(load_target, path) is not None
    assert refused > TARGETS / PARTS / 3


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sparse perceptron on a small mesh."""
    recipe = make_recipe(yaml.safe_load(RECIPE.replace("width: 16", "width: 8")))
    return compile_recipe(recipe).save(tmp_path_factory.mktemp("fuzz") / "plan")


def _damage(directory: Path, original: Path, rng: random.Random) -> None:
    """One file damaged; half of the time all hashes are made to fit again."""
    name = rng.choice(("plan.yaml", "plan.yaml", "stages", "weights.safetensors", "plan.sha256"))
    path = original / name
    if name == "stages":
        path = rng.choice(sorted(path.iterdir()))
    name = str(path.relative_to(original))
    content, suffix = path.read_bytes(), path.suffix
    if suffix == ".safetensors" or rng.random() < 0.3:
        content = damaged_bytes(content, rng)
    elif suffix == ".json":
        content = json.dumps(damaged_data(json.loads(content), rng)).encode()
    elif suffix == ".yaml" and rng.random() < 0.6:
        content = _dump(damaged_data(yaml.load(content, yaml.CSafeLoader), rng))
    else:
        content = damaged_text(content.decode(), rng)
    (directory / name).write_bytes(content)
    if rng.random() < 0.5 and suffix != ".yaml":
        text = (original / "plan.yaml").read_text()
        before, after = (hashlib.sha256(p.read_bytes()) for p in (path, directory / name))
        text = text.replace(before.hexdigest(), after.hexdigest())
        (directory / "plan.yaml").write_text(text)
    if rng.random() < 0.5:
        accept(directory)


def _restore(directory: Path, original: Path) -> None:
    for path in original.rglob("*"):
        if path.is_file():
            copy = directory / path.relative_to(original)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())


def _read_on(directory: Path, original: Any) -> None:
    """What `weft show`, `check` and `diff` do with a plan that loads."""
    found = load(directory, allow_edited=True)
    check(found.document, original.target, found.programs)
    show(found.document)
    for stage in found.document.stages[:2]:
        show_stage(found.document, stage.id)
    diff_text(diff(original.document, found.document))


@pytest.mark.parametrize("part", range(PARTS))
def test_plans(part: int, plan: Path, tmp_path: Path) -> None:
    class Original:
        document, target = load(plan).document, load_target("tiny_mesh", {"clock_hz": "2e9"})

    refused = 0
    for number in range(part, PLANS, PARTS):
        _restore(tmp_path, plan)
        _damage(tmp_path, plan, random.Random(f"plan {number}"))
        unread = _refused(_read_on, tmp_path, Original)
        refused += unread is not None or is_edited(tmp_path)
    assert refused > PLANS / PARTS / 2
