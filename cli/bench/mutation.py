"""`weft bench mutation`: whether tests notice a changed operator or number."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from ..options import Json
from ..terminal.console import print_json, print_table

Modules = Annotated[
    list[str], typer.Argument(metavar="[MODULE]...", help="Such as backend/optim/sgdm.py.")
]


def mutation(
    modules: Modules = [],  # noqa: B006 - typer copies it
    seconds: Annotated[float, typer.Option(min=1, help="Begin no mutant after so many.")] = 600.0,
    seed: Annotated[int, typer.Option(help="Of the order in which mutants are tried.")] = 0,
    json: Json = False,
) -> None:
    """Change one operator or number of a module at a time, and run its tests: the score is the
    share of mutants that they fail of. In a checkout of weft's repository."""
    from ...bench.mutation import MODULES, Tried, mirrored_tests, trials

    chosen = modules or list(MODULES)
    for module in chosen:
        mirrored_tests(module)
    tried: list[Tried] = []
    with tempfile.TemporaryDirectory() as directory:
        for one in trials(chosen, seconds, seed, Path(directory)):
            tried.append(one)
            if not one.is_killed:
                typer.echo(f"survived: {one.mutant.module}: {one.mutant.line}", err=True)
    rows = [_row(module, tried) for module in chosen]
    if json:
        survived = [
            {"module": one.mutant.module, "operator": one.mutant.operator, "line": one.mutant.line}
            for one in tried
            if not one.is_killed
        ]
        scores = [dict(zip(_KEYS, row, strict=True)) for row in rows]
        print_json({"modules": scores, "survived": survived})
        return
    print_table(_KEYS, rows)


_KEYS = ("module", "tried", "killed", "score")


def _row(module: str, tried: list) -> tuple[str, int, int, float | None]:
    own = [one.is_killed for one in tried if one.mutant.module == module]
    return module, len(own), sum(own), round(sum(own) / len(own), 3) if own else None
