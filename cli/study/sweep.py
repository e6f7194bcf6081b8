"""`weft sweep`: one recipe under many settings, each compiled and simulated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...backend.live_line import LiveLine
from ..names import check_model
from ..options import Json, ModelArgument, recipe_of
from ..terminal.console import print_json, print_table

if TYPE_CHECKING:
    from ...compiler.recipes.recipe import Recipe
    from ...study.sweep.axes import Axis
    from ...study.sweep.front import Objective
    from ...study.sweep.log import Shard, SweepLog
    from ...study.sweep.points import Overrides

_MOST_ROWS = 20
_MOST_REASONS = 3


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(sweep)


def sweep(
    model: ModelArgument,
    set_: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="KEY=VALUES",
            help="Vary a key: \\[a,b,c], LOW:HIGH:STEP, log(LOW:HIGH:COUNT), random(LOW:HIGH) or"
            " lograndom(LOW:HIGH); one value fixes it; repeatable.",
        ),
    ] = [],  # noqa: B006
    points: Annotated[
        int | None, typer.Option(min=1, help="Draw so many points at random; default: all.")
    ] = None,
    points_file: Annotated[
        Path | None, typer.Option(help="Take the points of a .csv or .jsonl file.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of points drawn at random.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Directory of the points; a second run goes on there."),
    ] = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="Processes.")] = 1,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Only every N-th point, from 0/N on.")
    ] = "0/1",
    samples: Annotated[int, typer.Option(min=1, help="Training samples to simulate.")] = 1000,
    over: Annotated[str, typer.Option(help="processes of this machine, or ray.")] = "processes",
    search: Annotated[
        str | None,
        typer.Option(metavar="optuna", help="Let each point follow from those before; --points N."),
    ] = None,
    objective: Annotated[
        list[str], typer.Option(metavar="NAME:max|min", help="Of the Pareto front; repeatable.")
    ] = ["throughput_samples_per_s:max", "pes:min"],  # noqa: B006
    json: Json = False,
) -> None:
    """Compile and simulate a recipe under many settings; print what no other setting beats."""
    check_model(model)
    from ...study.sweep.axes import parse_axis
    from ...study.sweep.front import pareto_front, parse_objective
    from ...study.sweep.log import Sweep, SweepLog, check_claim
    from ...study.sweep.points import override

    wanted, part = [parse_objective(one) for one in objective], _shard(shard)
    axes = [parse_axis(text) for text in set_]
    fixed = [override(axis.key, axis.values[0]) for axis in axes if len(axis.values) == 1]
    recipe = recipe_of(model, fixed)
    if search is None:
        chosen, how = _points(axes, points, points_file, seed)
    else:
        chosen, how = [], _check_search(search, points, points_file, part)
        how = f"{how}, {jobs} at once, seed {seed}, for {', '.join(objective)}"
    directory = output or Path(f"{Path(model.rpartition(':')[2]).stem}.sweep")
    for point in chosen[:1]:
        recipe_of(model, [*fixed, *(override(key, value) for key, value in point.items())])
    asked = Sweep(_identity(recipe), tuple(set_), how, samples)
    check_claim(directory, asked)
    from ...runtime.checkpoint.lock import locked
    from ...study.sweep.run import sweep as run
    from ...study.sweep.run import tasks_of
    from ...study.sweep.search import search as run_search
    from ...study.sweep.workers import workers

    tasks, line = tasks_of(recipe, chosen, part), LiveLine()
    log = SweepLog(directory, asked, part)

    def shown(done: int, of: int) -> None:
        line(_progress(done, of), final=done == of)

    lock = locked(directory / f".shard-{part.index}-of-{part.count}")
    with lock, workers(samples, jobs, over) as evaluate:
        if search is None:
            lines = run(tasks, log, evaluate, shown)
        else:
            varied = [axis for axis in axes if len(axis.values) != 1]
            count = points or 0
            lines = run_search(recipe, varied, wanted, log, evaluate, count, jobs, seed, shown)
    front = pareto_front(lines, wanted)
    page = _page(directory, model, log, wanted)
    if json:
        print_json({"directory": str(directory), "points": lines, "front": front, "page": page})
        return
    _print(lines, front, [axis.key for axis in axes if len(axis.values) != 1])
    _print_unranked(lines, wanted)
    typer.echo(f"\n{len(lines):,} points in {directory / part.file}")
    typer.echo(f"{page}: open it in a browser" if page else "no page: pip install 'weft[report]'")


def _page(directory: Path, model: str, log: SweepLog, wanted: list[Objective]) -> str | None:
    """Writes the page of all points that are done, by other shards too; None without jinja2."""
    from importlib.util import find_spec

    from ...study.sweep.front import pareto_front
    from ...study.sweep.page import PAGE_FILE, write_page

    if find_spec("jinja2") is None:
        return None
    lines = list(log.done().values())
    write_page(directory / PAGE_FILE, model, lines, pareto_front(lines, wanted), wanted)
    return str(directory / PAGE_FILE)


def _points(
    axes: list[Axis], count: int | None, file: Path | None, seed: int
) -> tuple[list[Overrides], str]:
    """The points, and how they were chosen."""
    from ...study.sweep.points import file_points, grid_points, random_points

    if file is None:
        if count is None:
            return grid_points(axes), "grid"
        return random_points(axes, count, seed), f"{count} at random, seed {seed}"
    found = file_points(file)
    grid = grid_points(axes)
    return [{**one, **two} for one in grid for two in found], f"{len(found)} of a file"


def _check_search(search: str, count: int | None, file: Path | None, shard: Shard) -> str:
    """How points are chosen, in words. Raises UserError for options that do not go together."""
    from ...backend.errors import UnknownNameError, UserError
    from ...study.sweep.points import SEARCHES

    if search not in SEARCHES:
        raise UnknownNameError("search", search, SEARCHES, "weft sweep --help")
    if count is None or file is not None or shard.count != 1:
        raise UserError(
            f"--search {search}",
            expected="--points N, and neither --points-file nor --shard",
            got="no --points" if count is None else "both",
            change="--points 100; several processes help with --jobs",
        )
    return search


def _identity(recipe: Recipe) -> str:
    from ...study.sweep.log import recipe_hash

    return recipe_hash(recipe)


def _shard(text: str) -> Shard:
    from ...backend.errors import UserError
    from ...study.sweep.log import Shard

    index, _, count = text.partition("/")
    if index.isdigit() and count.isdigit() and int(index) < int(count):
        return Shard(int(index), int(count))
    raise UserError(
        f"--shard {text}", expected="I/N with I from 0 to N - 1", got=f"'{text}'", change="0/4"
    )


def _progress(done: int, count: int) -> str:
    return f"  {done:,}/{count:,} points"


def _shown(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value


def _bar(line: dict[str, Any], name: str) -> str:
    from ...compiler.plan.evidence import bar_text

    return bar_text(line[name], *line["error_bars"][name])


def _print_unranked(lines: list[dict[str, Any]], objectives: list[Objective]) -> None:
    """Points that are not in the front as nothing firm stands behind what it is about."""
    from ...study.sweep.front import assumed_of

    found = [name for line in lines for name in assumed_of(line, objectives)[:1]]
    if found:
        typer.echo(
            f"\n{len(found):,} of {len(lines):,} are not ranked: assumed constants alone are behind"
            f" their {found[0]} (weft explain PLAN --evidence)"
        )


def _print(lines: list[dict[str, Any]], front: list[dict[str, Any]], keys: list[str]) -> None:
    """The front as a table, and what did not fit."""
    from ...compiler.plan.text.numbers import duration, percent, quantity

    shown = keys or sorted({key for line in lines for key in line["overrides"]})
    print_table(
        (*shown, "samples/s", "latency", "PEs", "memory", "bound by"),
        [
            (
                *(_shown(line["overrides"].get(key, "")) for key in shown),
                quantity(line["throughput_samples_per_s"]) + _bar(line, "throughput_samples_per_s"),
                duration(line["latency_s"]) + _bar(line, "latency_s"),
                f"{line['pes']:,}",
                percent(line["memory_share"]),
                line["bound_by"],
            )
            for line in front[:_MOST_ROWS]
        ],
    )
    if len(front) > _MOST_ROWS:
        typer.echo(f"and {len(front) - _MOST_ROWS} more that nothing beats")
    refused = [line for line in lines if not line["fits"]]
    if refused:
        typer.echo(f"\n{len(refused):,} of {len(lines):,} have no plan, such as")
        for line in _one_of_each(refused):
            typer.echo(f"  {line['overrides']}: {line['reason']}")
            if "change" in line:
                typer.echo(f"    change: {line['change']}")


def _one_of_each(refused: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first of each kind of reason: those of size have a unit, the others what to change."""
    kinds = {line.get("unit", line.get("change", "")): line for line in reversed(refused)}
    return list(reversed(kinds.values()))[:_MOST_REASONS]
