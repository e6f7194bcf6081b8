"""`weft bench operators`: torch's own samples of its operators."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..options import Json
from ..terminal.console import print_json

OperatorsArgument = Annotated[
    list[str], typer.Argument(metavar="[NAME]...", help="Default: all; see --list.")
]


def operators(
    names: OperatorsArgument = [],  # noqa: B006 - typer copies it
    samples: Annotated[int, typer.Option(min=1, help="Of each operator, spread evenly.")] = 3,
    jax_samples: Annotated[int, typer.Option(min=0, help="Of these, also run by JAX.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="JSON lines; what they have already is not run again.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Print the names; run none.")] = False,
    json: Json = False,
) -> None:
    """Compile samples of torch's operator database and hold what executors compute against eager.

    Exit code 1 if one is wrong, or fewer than 80 % are taken.
    """
    from ...backend.errors import UnknownNameError
    from ...bench.operators import sweep

    entries = sweep.operators(names)
    unknown = [name for name in names if name not in entries]
    if unknown:
        known = sweep.operators()
        raise UnknownNameError("operator", unknown[0], known, "weft bench operators --list")
    if list_:
        typer.echo("\n".join(entries))
        return
    found = sweep.read(out) if out else []
    for row in sweep.rows(entries, samples, jax_samples, found):
        found.append(row)
        if out:
            with out.open("a") as file:
                file.write(row.line() + "\n")
        if row.verdict.kind == "wrong" or row.verdict.jax.startswith("wrong"):
            said = row.verdict.reason or row.verdict.jax
            typer.echo(f"{row.operator} {row.sample}: {said}", err=True)
    total = sweep.summary([row for row in found if row.operator in entries])
    if json:
        print_json(asdict(total))
    else:
        typer.echo(_text(total))
    if not total.passed:
        raise typer.Exit(1)


def _text(total) -> str:
    share = total.right / max(total.samples, 1)
    lines = [
        f"{total.operators} operators, {total.samples} samples: {total.right} right ({share:.1%}),"
        f" {total.refused} refused, {total.wrong} wrong",
        f"by JAX {total.by_jax}: {total.jax_right} right, {total.jax_wrong} wrong",
    ]
    return "\n".join([*lines, *(f"  {count:4}  {reason}" for reason, count in total.reasons)])
