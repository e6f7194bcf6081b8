"""`weft predict`: a plan's predictions, nothing trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import print_json
from .options import Json, PlanDirectory, Weights


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(predict)


def predict(
    plan: PlanDirectory,
    data: Annotated[str, typer.Option(help="As for `weft train`; its test samples are taken.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help=".npz file for the predictions.")
    ] = None,
    executor: Annotated[str, typer.Option(help="jax or reference; see `weft doctor`.")] = "jax",
    weights: Weights = None,
    json: Json = False,
) -> None:
    """Predict the test samples of a data set and score the predictions."""
    from .. import api
    from ..compiler.plan.store import load
    from ..compiler.plan.text import facts
    from ..runtime.data import load_data
    from ..runtime.predict import write_predictions
    from ..runtime.scores import class_axes, score
    from ..runtime.weights import load_weights

    loaded = load(plan) if weights is None else load_weights(load(plan), weights)
    dataset = load_data(data, loaded.document.inputs[0].shape[1:])
    predictions = api.predict(loaded, dataset.x_test, executor=executor)
    labels = dataset.y_test
    found = score(0, predictions[0], labels, class_axes(predictions[0].shape, labels.shape)[0])
    if output is not None:
        write_predictions(predictions, output)
    if json:
        print_json({"samples": len(labels), "accuracy": found.accuracy, "loss": found.loss})
        return
    rows = [
        ("samples", f"{len(labels):,} for testing, of {dataset.name}"),
        ("accuracy", f"{found.accuracy * 100:.2f} %"),
        ("loss", f"{found.loss:.4f} nats per label"),
    ]
    typer.echo(facts(rows if output is None else [*rows, ("predictions", str(output))]))
