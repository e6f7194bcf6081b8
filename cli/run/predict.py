"""`weft predict`: a plan's predictions, nothing trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..names import check_data, check_weights, check_where
from ..options import Json, PlanDirectory
from ..terminal.console import print_json


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(predict)


def predict(
    plan: PlanDirectory,
    data: Annotated[
        str,
        typer.Option(help="As for `weft train`; its test samples. An .npz file needs only x_test."),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help=".npz file for the predictions.")
    ] = None,
    executor: Annotated[
        str, typer.Option(help="jax, torch-xla or reference; see `weft doctor`.")
    ] = "jax",
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or tpu; default: what the executor finds.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Predict with these weights instead of the plan's: a safetensors file, an index"
            " of several, a folder of either, or one of adapters."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Predict the test samples of a data set, and score the predictions where there are labels."""
    check_where(executor, device)
    check_data(data, is_training=False)
    check_weights(weights)
    _check_output(output)
    from ... import api
    from ...compiler.plan.store import load
    from ...compiler.plan.text.numbers import facts
    from ...compiler.recipes.carried import carried_recipe
    from ...compiler.recipes.read import make_recipe
    from ...runtime.data import load_test
    from ...runtime.run_facts import score_facts
    from ...runtime.training.predict import write_predictions
    from ...runtime.training.scores import Scoring
    from ...runtime.weights.load import load_weights

    loaded = load(plan) if weights is None else load_weights(load(plan), weights)
    recipe = make_recipe(carried_recipe(loaded), where="the plan's recipe")
    scoring = Scoring.of(loaded.stages, recipe.loss, recipe.training.scores)
    shape = loaded.document.inputs[0].shape[1:]
    inputs, labels = load_test(data, shape, raw=bool(recipe.input.mean))
    predictions = api.predict(loaded, inputs, executor=executor, device=device)
    rows: list[tuple[str, str]] = [("samples", f"{len(inputs):,} for testing, of {data}")]
    values: dict[str, float] = {"samples": len(inputs)}
    if labels is not None:
        found = scoring.score(0, predictions[0], labels)
        values |= {name.removeprefix("test_"): value for name, value in found.values.items()}
        rows += score_facts(found)
    if output is not None:
        write_predictions(predictions, output)
        rows.append(("predictions", str(output)))
    if json:
        print_json(values)
    else:
        typer.echo(facts(rows))


def _check_output(output: Path | None) -> None:
    from ...backend.errors import UserError

    if output is not None and output.suffix != ".npz":
        raise UserError(
            f"--output {output}",
            expected="the name of a NumPy archive, FILE.npz",
            got=f"'{output.suffix}'" if output.suffix else "no suffix",
            change=f"--output {output.with_suffix('.npz')}",
        )
