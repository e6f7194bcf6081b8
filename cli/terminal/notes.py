"""What a reader of a plan should know beside the answer: it goes to standard error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ...compiler.plan.document import PlanDocument


def note(text: str) -> None:
    """Print one line beside the answer."""
    typer.echo(f"note: {text}", err=True)


def note_prices(directory: Path, plan: PlanDocument) -> None:
    """Say whether the plan's cycles are others than a plan made now would have."""
    from ...compiler.machine.version import other_model

    if other := other_model(plan.weft_version):
        note(f"the cycles of {directory} are {other}; compile it again for today's")
