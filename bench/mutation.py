"""`weft bench mutation`: whether tests notice one changed operator or number of a module.

cosmic-ray makes the mutants. Each is tried in a copy of the repository by the tests of its module;
one that they pass has survived. What changes annotations alone is no mutant.
"""

from __future__ import annotations

import ast
import difflib
import itertools
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..backend.errors import UserError
from ..backend.packages import package

MODULES = (
    "backend/optim/sgdm.py",
    "backend/optim/guard.py",
    "runtime/tick/make_job.py",
    "compiler/plan/stage_record.py",
    "runtime/training/moving_statistics.py",
)
"""What is mutated by default; the tests are those at the mirrored place."""

ROOT = Path(__file__).parents[1]
"""The repository, if this is a checkout."""

_SLOWER = 5
_LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "tmp")


@dataclass(frozen=True)
class Mutant:
    """A module with one change, `line` of it."""

    module: str
    operator: str
    line: str
    source: str


@dataclass(frozen=True)
class Tried:
    """A mutant and whether the tests failed of it."""

    mutant: Mutant
    is_killed: bool
    seconds: float


def mirrored_tests(module: str, root: Path = ROOT) -> str:
    """The tests at the mirrored place. Raises UserError where there are none."""
    path = Path(module)
    tests = Path("tests") / path.parent / f"test_{path.name}"
    for needed in (path, tests):
        if not (root / needed).is_file():
            raise UserError(
                f"module {module}",
                expected="a file of weft's repository, with tests at the mirrored place",
                got=f"no {needed}",
                change="run it in a checkout, or name another module",
            )
    return str(tests)


def mutants(module: str, root: Path = ROOT) -> list[Mutant]:
    """All mutants of a module, each once."""
    package("cosmic_ray", "weft bench mutation", "weft[mutation]")
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.operators.provider import OperatorProvider

    operators: Any = OperatorProvider()
    source, found = (root / module).read_text("utf-8"), {}
    for name in operators:
        if name.startswith("Variable"):
            continue  # it asks for a variable's name
        for number in itertools.count():
            made = mutate_code(source, operators[name](), number)
            if made is None:
                break
            if _meaning(made) not in (None, _meaning(source)):
                found[made] = Mutant(module, name, _changed_line(source, made), made)
    return list(found.values())


def trials(
    modules: Sequence[str], seconds: float, seed: int, where: Path, root: Path = ROOT
) -> Iterator[Tried]:
    """Try mutants of all modules in random order for so many seconds, in a copy below `where`.

    Raises UserError if tests fail without a mutant.
    """
    began = time.monotonic()
    copy = where / "weft"
    shutil.copytree(root, copy, ignore=_LEFT_OUT)
    usual = {module: _usual_s(copy, module) for module in modules}
    drawn = [mutant for module in modules for mutant in mutants(module, root)]
    random.Random(seed).shuffle(drawn)
    for mutant in drawn:
        if time.monotonic() - began > seconds:
            return
        path, started = copy / mutant.module, time.monotonic()
        before = path.read_text("utf-8")
        path.write_text(mutant.source, "utf-8")
        passed = _pass(copy, mutant.module, _SLOWER * usual[mutant.module])
        path.write_text(before, "utf-8")
        yield Tried(mutant, not passed, time.monotonic() - started)


def _usual_s(copy: Path, module: str) -> float:
    """How long the tests of a module take."""
    began = time.monotonic()
    if not _pass(copy, module, None):
        raise UserError(
            f"tests of {module}",
            expected="tests that pass without a mutant",
            got="a failure",
            change="mend it first",
        )
    return time.monotonic() - began


def _pass(copy: Path, module: str, limit_s: float | None) -> bool:
    """Whether the tests of a module pass; they do not if they take too long."""
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:xdist"]
    command += ["-p", "no:cacheprovider", mirrored_tests(module, copy)]
    environment = {**os.environ, "PYTHONPATH": str(copy.parent)}
    try:
        run = subprocess.run(
            command, cwd=copy, env=environment, timeout=limit_s, capture_output=True, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return run.returncode == 0


class _WithoutAnnotations(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def _meaning(source: str) -> str | None:
    """The program without its annotations; None for what is no program."""
    try:
        return ast.dump(_WithoutAnnotations().visit(ast.parse(source)))
    except SyntaxError:
        return None


def _changed_line(source: str, made: str) -> str:
    lines = difflib.unified_diff(source.splitlines(), made.splitlines(), n=0, lineterm="")
    changed = [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return " -> ".join(line[1:].strip() for line in changed)
