"""Running verbs in this process, and one compiled plan for all tests of the command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner
from weft.cli.app import app_of
from weft.runtime.data import load_data

SMALL = ("compile", "mlp", "--target", "tiny_mesh", "--set", "model.options.width=16")


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Weft = Callable[..., Outcome]


@pytest.fixture(scope="session")
def weft() -> Weft:
    """`weft("show", plan)`: exit code, standard output and standard error. Defects are raised."""

    def run(*arguments: object) -> Outcome:
        result = CliRunner().invoke(app_of(), [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def small_plan(weft: Weft, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small perceptron, compiled. Not to be changed: see `plan`."""
    directory = tmp_path_factory.mktemp("plans") / "small.plan"
    outcome = weft(*SMALL, "-o", directory)
    assert outcome.code == 0, outcome.err
    return directory


@pytest.fixture
def plan(small_plan: Path, tmp_path: Path) -> Path:
    """A copy of the small plan that a test may damage."""
    return Path(shutil.copytree(small_plan, tmp_path / "copy.plan"))


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the digits, in the form of a user's own file."""
    digits = load_data("digits")
    path = tmp_path_factory.mktemp("data") / "some.npz"
    np.savez(
        path,
        x_train=digits.x_train[:150],
        y_train=digits.y_train[:150],
        x_test=digits.x_test[:40],
        y_test=digits.y_test[:40],
    )
    return path
