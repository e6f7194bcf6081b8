"""`weft report`: several plans and training runs on one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..names import check_file_output

if TYPE_CHECKING:
    from ...sim.page.side_by_side import SimulatedPlan, Trained

Directories = Annotated[
    list[Path],
    typer.Argument(metavar="DIR...", help="Plans, and directories of runs with metrics.jsonl."),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(report)


def report(
    directories: Directories,
    output: Annotated[Path, typer.Option("-o", "--output", help="The page to write.")],
    samples: Annotated[int, typer.Option(min=1, help="Training samples to simulate.")] = 1000,
) -> None:
    """Write one page about several plans and training runs, side by side."""
    check_file_output(output)
    kinds = {directory: _kinds(directory) for directory in directories}
    from ...sim.page.side_by_side import write_side_by_side

    plans = [_simulated(each, samples) for each, (plan, _) in kinds.items() if plan]
    runs = [_trained(each) for each, (_, run) in kinds.items() if run]
    write_side_by_side(output, plans, runs)
    counts = _counted(plans, "plan"), _counted(runs, "run")
    typer.echo(f"wrote {output}: {', '.join(filter(None, counts))}")


def _counted(found: Sequence[object], noun: str) -> str:
    """How many there are, nothing if there are none."""
    return f"{len(found)} {noun}{'s' * (len(found) > 1)}" if found else ""


def _kinds(directory: Path) -> tuple[bool, bool]:
    """Whether a directory holds a plan, and whether it holds a run."""
    from ...backend.errors import UserError

    plan, run = (directory / "plan.yaml").is_file(), (directory / "metrics.jsonl").is_file()
    if not plan and not run:
        raise UserError(
            f"directory {directory}",
            expected="a plan (plan.yaml), or what a run has written (metrics.jsonl)",
            got="neither" if directory.is_dir() else "no such directory",
            change="check the path; `weft train --log DIR` writes metrics.jsonl",
        )
    return plan, run


def _simulated(directory: Path, samples: int) -> SimulatedPlan:
    from ...compiler.plan.files import load_document
    from ...sim import simulate
    from ...sim.page.side_by_side import SimulatedPlan

    plan = load_document(directory)
    return SimulatedPlan(str(directory), plan, simulate(plan, samples))


def _trained(directory: Path) -> Trained:
    from ...sim.page.side_by_side import Trained, read_metrics

    return Trained(str(directory), read_metrics(directory))
