"""`weft bench equality`: how far the JAX executor is from the reference."""

from __future__ import annotations

from typing import Annotated

import typer

from .console import print_records
from .options import Json

HEADER = ("rule", "compensation", "masks", "losses", "weights", "optimizer", "state", "worst")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(equality)


def equality(
    model: Annotated[str, typer.Option(help="mlp, gpt, u-net, resnet8 or resnet20.")] = "mlp",
    samples: Annotated[int, typer.Option(min=1, help="Samples to train on.")] = 200,
    compensation: Annotated[
        str | None, typer.Option(help="Only this delay compensation; default: each one.")
    ] = None,
    json: Json = False,
) -> None:
    """Train with both in float32 by every rule, compensation and mask: largest relative
    differences by kind of tensor, |got - reference| / |reference|; inf: the masks differ."""
    from ..backend.errors import UnknownNameError, UserError
    from ..bench.equality_cases import CASES, MASKS, RULES, case, job_of

    try:
        from ..bench.equality import JaxExecutor, distance
    except ImportError as error:
        raise UserError(
            "weft bench equality",
            expected="jax in this environment",
            got=str(error),
            change="pip install 'weft[jax]'",
        ) from error
    if model not in CASES:
        raise UnknownNameError("model to compare", model, tuple(CASES), "weft bench equality")
    found, rows = case(model, samples), []
    chosen = [(r, c) for r, names in RULES.items() for c in names if compensation in (None, c)]
    for rule, name in chosen:
        for masks in MASKS:
            job = job_of(found, rule, name, masks)
            far = distance(job, found.inputs, JaxExecutor(job, chunk=64))
            kinds = (far.losses, far.weights, far.optimizer, far.state)
            numbers = kinds if far.masks_equal else (float("inf"),) * 4
            rows.append((rule, name, masks, *(f"{n:.1e}" for n in numbers), far.worst))
    print_records(HEADER, rows, json)
