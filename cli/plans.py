"""`weft show`, `weft check`, `weft diff`: reading, verifying and comparing plan directories."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Json, PlanDirectories
from .terminal.console import print_json
from .terminal.failure import CHECK_FAILED
from .terminal.notes import note, note_prices

if TYPE_CHECKING:
    from ..compiler.plan.check import Violation
    from ..compiler.plan.document import PlanDocument
    from ..compiler.targets.target import Target

_ALTERED = "file-altered"
"""The rule beside those of the checker: plan.yaml is as weft wrote it."""


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(show)
    app.command()(check)
    app.command()(diff)


def show(
    plans: PlanDirectories,
    stage: Annotated[
        str | None, typer.Option(help="One stage in full, by its number or id.")
    ] = None,
    floorplan: Annotated[
        Path | None, typer.Option(help="Write the wafer with its regions as an SVG picture.")
    ] = None,
    json: Json = False,
) -> None:
    """Print plans as text: totals and stage table, or one stage in full."""
    from ..compiler.plan.codec import to_data
    from ..compiler.plan.text.show import find_stage, show_stage
    from ..compiler.plan.text.show import show as text_of

    documents = [_document(plan) for plan in plans]
    if floorplan is not None:
        _draw(documents, floorplan)
    if json:
        chosen = [find_stage(d, stage) if stage else d for d in documents]
        print_json(to_data(chosen[0] if len(chosen) == 1 else chosen))
        return
    texts = [show_stage(d, stage) if stage else text_of(d) for d in documents]
    typer.echo("\n\n".join(texts))


def _draw(documents: list[PlanDocument], path: Path) -> None:
    from ..backend.errors import UserError
    from ..compiler.plan.atomic_output import staged_file
    from ..compiler.plan.picture.floorplan import floorplan_svg

    if len(documents) != 1:
        raise UserError(
            "weft show --floorplan",
            expected="one plan",
            got=f"{len(documents)} plans",
            change="draw them one by one",
        )
    with staged_file(path) as file:
        file.write(floorplan_svg(documents[0]))


def check(
    plans: PlanDirectories,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Take an edited plan.yaml that breaks no rule as it is."),
    ] = False,
    json: Json = False,
) -> None:
    """Re-derive what plans say, without the code that made them. Exit code 1 if one is unsound."""
    results = {plan: _violations(plan) for plan in plans}
    if accept:
        results = {plan: _accepted(plan, found) for plan, found in results.items()}
    if json:
        print_json({str(plan): [vars(v) for v in found] for plan, found in results.items()})
    else:
        for plan, found in results.items():
            typer.echo(_verdict(plan, found))
    if any(results.values()):
        raise typer.Exit(CHECK_FAILED)


def diff(
    before: Annotated[Path, typer.Argument(metavar="PLAN", help="The plan before.")],
    after: Annotated[Path, typer.Argument(metavar="PLAN", help="The plan after.")],
    every: Annotated[
        bool, typer.Option("--all", help="A line for each change, also of many items alike.")
    ] = False,
    json: Json = False,
) -> None:
    """Print what changed from one plan to another; the same field of many items in one line."""
    from ..compiler.plan.codec import to_data
    from ..compiler.plan.text.diff import diff as compare
    from ..compiler.plan.text.diff_text import diff_text

    changes = compare(_document(before), _document(after))
    if json:
        print_json(to_data(changes))
    else:
        typer.echo(diff_text(changes, every=every))


def _document(directory: Path) -> PlanDocument:
    """What a plan says, for reading: an edited one is read, with a note."""
    from ..compiler.plan.files import is_edited, load_document

    document = load_document(directory, allow_edited=True)
    if is_edited(directory):
        note(f"{directory}/plan.yaml was edited after weft wrote it")
    note_prices(directory, document)
    return document


def _violations(directory: Path) -> tuple[Violation, ...]:
    from ..compiler.plan.check import Violation
    from ..compiler.plan.check import check as violations_of
    from ..compiler.plan.files import is_edited
    from ..compiler.plan.store import load

    plan = load(directory, allow_edited=True)
    note_prices(directory, plan.document)
    found = violations_of(plan.document, _target_of(plan.document), plan.programs)
    if not is_edited(directory):
        return found
    return (Violation(_ALTERED, "plan.yaml", "the hash in plan.sha256", "other content"), *found)


def _accepted(directory: Path, found: tuple[Violation, ...]) -> tuple[Violation, ...]:
    """Nothing, if an edit is all that was found; it is then accepted."""
    from ..compiler.plan.files import accept

    if [violation.rule for violation in found] != [_ALTERED]:
        return found
    accept(directory)
    return ()


def _target_of(plan: PlanDocument) -> Target | None:
    """The target the plan names, with the constants the user had set; None for a foreign file."""
    from ..compiler.plan.constants import target_of
    from ..compiler.targets.load import known_targets

    if plan.target not in known_targets():
        note(
            f"target '{plan.target}' does not come with weft;"
            " its constants are taken from the plan itself"
        )
        return None
    return target_of(plan)


def _verdict(directory: Path, found: tuple[Violation, ...]) -> str:
    from ..compiler.plan.check import RULES, premises
    from ..compiler.plan.files import load_document

    if not found:
        plan = load_document(directory, allow_edited=True)
        proof = "\n".join(f"  {about:14} {text}" for about, text in premises(plan))
        verdict = f"{directory}: sound ({len(RULES)} rules); witness: {plan.witness}"
        return f"{verdict}\nit cannot hang:\n{proof}"
    lines = "\n".join(f"  {violation}" for violation in found)
    return f"{directory}: {len(found)} violations\n{lines}"
