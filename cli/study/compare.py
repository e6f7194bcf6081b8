"""`weft compare`: one model on several machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..names import check_model
from ..options import Json, ModelArgument, OverridesOption, recipe_of
from ..terminal.console import Steps, print_json, print_table

if TYPE_CHECKING:
    from ...study.compare import Figures, MachineRow

_HEADERS = (
    "target",
    "basis",
    "batch",
    "samples/s",
    "latency",
    "memory",
    "of peak",
    "bound by",
    "constants",
)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(compare)


def compare(
    model: ModelArgument,
    targets: Annotated[
        str, typer.Option(help="Names or YAML files, with commas between; default: all.")
    ] = "",
    dtype: Annotated[
        str | None, typer.Option(help="Convert the model first: float32, float16 or bfloat16.")
    ] = None,
    samples: Annotated[int, typer.Option(help="Training samples to simulate.")] = 1000,
    batch: Annotated[int, typer.Option(help="Batch size on rooflines; meshes train at 1.")] = 128,
    set_: OverridesOption = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Train a model on several machines, in simulation; rooflines say what is possible at best."""
    from ...compiler.targets import known_rooflines, known_targets, load_machine

    check_model(model)
    names = targets.split(",") if targets else [*known_targets(), *known_rooflines()]
    machines = [load_machine(name.strip()) for name in names]
    from ...compiler.recipes.build import graph_compiler
    from ...study.compare import compare as run

    recipe, to = recipe_of(model, set_), _dtype(dtype)
    with Steps() as step:
        step("capture")
        model_graph = graph_compiler(recipe, to)
        step("compile and simulate")
        rows = run(model_graph, machines, samples, batch)
    if json:
        print_json([row.to_dict() for row in rows])
    else:
        print_rows(rows)


def _dtype(name: str | None):
    import torch

    from ...backend.errors import UnknownNameError

    known = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    if name is None or name in known:
        return known.get(name or "")
    raise UnknownNameError("dtype", name, known, "weft compare --help")


def print_rows(rows: tuple[MachineRow, ...]) -> None:
    """The table; below it why machines are left out or slower, and what the last column counts."""
    print_table(_HEADERS, [_line(row) for row in rows])
    typer.echo("")
    for row in rows:
        if row.figures is None:
            typer.echo(f"{row.target} does not fit: {row.reason}")
    for line in (text for row in rows for text in (row.slower, row.spread) if text):
        typer.echo(line)
    for row in rows:
        if row.figures is not None and row.figures.assumed:
            typer.echo(f"{row.target} is not ranked: assumed constants alone are behind its rate")
    typer.echo(
        "simulated: compiled, one sample at a time; at best: peak arithmetic or memory bandwidth,"
        " perfect kernels.\n(-9 % .. +14 %): where nine in ten of such figures lie (weft explain"
        " PLAN --evidence).\nmemory: of the fullest PE, or of the chip. of peak: multiply-adds"
        " done, of the dense peak.\nconstants: how many are published, derived or fitted, from"
        " memory or assumed."
    )


def _line(row: MachineRow) -> tuple[object, ...]:
    from ...compiler.plan.text.numbers import duration, percent, quantity

    figures = row.figures
    if figures is None:
        return (row.target, row.basis, row.batch, *("-",) * 4, "does not fit", _firmness(row))
    return (
        *(row.target, row.basis, row.batch),
        quantity(figures.throughput_samples_per_s) + _bar(figures, "throughput_samples_per_s"),
        duration(figures.latency_s) + _bar(figures, "latency_s"),
        percent(figures.memory_share),
        *(percent(figures.utilisation), figures.bound_by, _firmness(row)),
    )


def _bar(figures: Figures, name: str) -> str:
    """Empty for a roofline, which is a bound."""
    from ...compiler.plan.evidence import bar_text

    bar = figures.error_bars.get(name)
    return bar_text(getattr(figures, name), *bar) if bar else ""


def _firmness(row: MachineRow) -> str:
    """Published; derived or fitted; from memory or assumed."""
    groups = (("published",), ("derived", "fitted"), ("memory", "assumed"))
    return " / ".join(str(sum(row.confidence.get(k, 0) for k in group)) for group in groups)
