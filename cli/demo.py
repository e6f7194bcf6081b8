"""`weft demo`: compile, simulate and train a real network on real data, and write a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..compiler.plan.atomic_output import staged
from .names import check_where
from .options import OverridesOption
from .run.train import Epochs, ExecutorOption
from .terminal.console import Steps

if TYPE_CHECKING:
    from ..compiler.plan.plan import Plan
    from ..compiler.recipes.recipe import Recipe
    from ..runtime.training.trainer import RunReport
    from ..sim import SimReport

OWN_NAMES = frozenset({"plan", "trained", "recipe.yaml", "report.html"})
SIMULATED_SAMPLES = 1000


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(demo)


def demo(
    compare: Annotated[
        bool, typer.Option("--compare", help="Train with plain sequential SGD beside it.")
    ] = False,
    output: Annotated[Path, typer.Option("-o", "--output", help="Directory to write.")] = Path(
        "weft-demo"
    ),
    executor: ExecutorOption = "jax",
    epochs: Epochs = None,
    set_: OverridesOption = [],  # noqa: B006
) -> None:
    """Compile, simulate and train ResNet-20 on handwritten digits; write report.html."""
    check_where(executor, None)
    from ..compiler.recipes.read import shipped_recipe

    overrides = [*set_, *([] if epochs is None else [f"epochs={epochs}"])]
    recipe = shipped_recipe("demo", overrides)
    with staged(output, OWN_NAMES) as scratch:
        plan = _compile(recipe)
        report = _simulate(plan)
        run = _train(plan, recipe, executor)
        if compare:
            _compare(plan, recipe, executor, run)
        _write(scratch, recipe, plan, report, run)
    _where(output, compare)


def _compile(recipe: Recipe) -> Plan:
    from ..compiler.recipes.build import compile_recipe

    typer.echo(f"1. compile {recipe.model.name} for {recipe.target.name}")
    with Steps() as step:
        plan = compile_recipe(recipe, on_begin=step)
    typer.echo(plan.summary())
    return plan


def _simulate(plan: Plan) -> SimReport:
    from ..compiler.plan.text.numbers import facts
    from ..sim import simulate

    typer.echo(f"\n2. simulate {SIMULATED_SAMPLES:,} training samples on {plan.document.target}")
    report = simulate(plan, SIMULATED_SAMPLES)
    typer.echo(facts(report.facts()))
    return report


def _train(plan: Plan, recipe: Recipe, executor: str) -> RunReport:

    typer.echo(
        f"\n3. train on {recipe.data.name} here, one sample at a time (pipelined backpropagation)"
    )
    run = _run(plan, recipe, executor, recipe.pipeline.mode)
    typer.echo(run.summary())
    return run


def _compare(plan: Plan, recipe: Recipe, executor: str, run: RunReport) -> None:
    typer.echo("\n4. the same with plain SGD at batch size 1, sample after sample")
    plain = _run(plan, recipe, executor, "sequential")
    gap = (run.test_accuracy - plain.test_accuracy) * 100
    typer.echo(
        f"  test accuracy  {plain.test_accuracy * 100:.2f} %; {run.mode} is"
        f" {gap:+.2f} points from it"
    )


def _run(plan: Plan, recipe: Recipe, executor: str, mode: str) -> RunReport:
    from ..api import train
    from ..runtime.jax.cache import keep_compiled_programs
    from ..runtime.training.training_line import TrainingLine

    if executor == "jax":
        keep_compiled_programs()
    line = TrainingLine(mode)
    run = train(
        plan,
        recipe.data.name or "digits",
        executor=executor,
        mode=mode,
        on_start=line.start,
        on_progress=line,
    )
    line.close()
    return run


def _write(scratch: Path, recipe: Recipe, plan: Plan, report: SimReport, run: RunReport) -> None:

    import yaml

    from ..sim.page.page import RunCurve, write_report

    plan.save(scratch / "plan")
    run.trained_plan(plan).save(scratch / "trained")
    settings = recipe.model_dump(mode="json")
    (scratch / "recipe.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    losses = tuple(float(loss) for loss in run.losses)
    curve = RunCurve(
        losses=losses,
        samples_per_s=run.samples_per_s,
        accuracy=run.test_accuracy,
        executor=run.executor,
        accuracies=run.accuracies,
        sparsities=run.sparsities,
    )
    write_report(plan.document, report, scratch / "report.html", curve)


def _where(output: Path, compare: bool) -> None:
    typer.echo(f"\n{output}/report.html  floorplan, stages, memory, loss: open it in a browser")
    typer.echo(f"{output}/plan         the compiled plan; {output}/trained has trained weights")
    typer.echo(f"{output}/recipe.yaml  what was run: edit it, then weft compile it")
    typer.echo(f"\nnext: weft show {output}/plan; weft check {output}/plan; weft targets")
    if not compare:
        typer.echo("      weft demo --compare trains plain SGD beside it")
