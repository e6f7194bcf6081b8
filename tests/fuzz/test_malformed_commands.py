"""The command line on malformed files: exit code 2, one message, nothing left behind."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.malformed import damaged_bytes, damaged_text
from typer.testing import CliRunner
from weft.backend.errors import UserError
from weft.cli.app import app_of
from weft.compiler.recipes.read import load_recipe

RECIPE = "model: mlp\ninput: {shape: [1, 8, 8], classes: 10}\ntarget: tiny_mesh\nseed: 1\n"


def _run(*arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and error of a verb; a defect is raised as it is."""
    result = CliRunner().invoke(app_of(), [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    (folder / "recipe.yaml").write_text(RECIPE)
    assert _run("compile", folder / "recipe.yaml", "-o", folder / "plan")[0] == 0
    return folder / "plan"


def _refused_recipes(path: Path, count: int) -> Iterator[int]:
    """Writes malformed recipes to `path`, one by one; gives their seeds."""
    for seed in range(10_000):
        path.write_bytes(damaged_text(RECIPE, random.Random(f"command {seed}")))
        try:
            load_recipe(path)
        except UserError:
            yield seed
            count -= 1
        if not count:
            return


def test_compile_of_a_malformed_recipe_writes_nothing(tmp_path: Path) -> None:
    for seed in _refused_recipes(tmp_path / "recipe.yaml", 20):
        code, out, err = _run("compile", tmp_path / "recipe.yaml", "-o", tmp_path / "out")
        assert (code, out) == (2, ""), seed
        assert err.startswith("error: "), seed
        assert err.count("error: ") == 1, seed
        assert [entry.name for entry in tmp_path.iterdir()] == ["recipe.yaml"], seed


VERBS: tuple[Callable[[Path], tuple[object, ...]], ...] = (
    lambda plan: ("show", plan),
    lambda plan: ("check", plan),
    lambda plan: ("simulate", plan, "--samples", 3),
    lambda plan: ("diff", plan, plan, "--json"),
)


@pytest.mark.parametrize("file", ["plan.yaml", "weights.safetensors", "stages"])
def test_verbs_refuse_a_damaged_plan_with_one_message(
    file: str, plan: Path, tmp_path: Path
) -> None:
    for seed, verb in enumerate(VERBS):
        directory = tmp_path / str(seed)
        shutil.copytree(plan, directory)
        path = min((directory / file).iterdir()) if file == "stages" else directory / file
        rng = random.Random(f"{file} {seed}")
        path.write_bytes(damaged_bytes(path.read_bytes()[: rng.randint(50, 900)], rng))
        before = sorted(directory.rglob("*"))
        code, out, err = _run(*verb(directory))
        assert (code, out) == (2, ""), (file, seed)
        assert err.count("error: ") == 1, (file, seed)
        assert str(path) in err, (file, seed)
        assert sorted(directory.rglob("*")) == before
