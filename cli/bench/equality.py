"""`weft bench equality`: how far the JAX executor is from the reference."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import Json
from ..terminal.console import print_records

if TYPE_CHECKING:
    from ...bench.equality.equality import Comparison

HEADER = (
    *("rule", "compensation", "masks", "losses", "weights", "optimizer", "state"),
    *("worst", "others", "float64", "nudged"),
)


def equality(
    model: Annotated[
        str, typer.Option(help="mlp, gpt, u-net, resnet8, resnet20, resnet20-silu.")
    ] = "mlp",
    samples: Annotated[int, typer.Option(min=1, help="Samples to train on.")] = 200,
    compensation: Annotated[
        str | None, typer.Option(help="Only this delay compensation; default: each one.")
    ] = None,
    masks: Annotated[
        str | None, typer.Option(help="Only none, static or rigl; default: each one.")
    ] = None,
    json: Json = False,
) -> None:
    """Train with both by every rule, compensation and mask: largest relative differences,
    |got - reference| / |reference|, by kind of tensor in float32; of all kinds without the worst
    tensor; of all kinds in float64; and there of the reference from itself with start values off
    in their last bit. inf: the masks differ."""
    from ...backend.packages import package
    from ...bench.equality.cases import CASES, MASKS, RULES
    from ...runtime.jax.cache import keep_compiled_programs

    _check_name("model to compare", model, CASES)
    _check_name("delay compensation", compensation, dict.fromkeys(sum(RULES.values(), ())))
    _check_name("kind of masks", masks, MASKS)
    package("jax", "weft bench equality", "weft[jax]")
    from ...bench.equality.equality import Combination, comparisons

    keep_compiled_programs()
    chosen = [
        Combination(rule, name, kind)
        for rule, names in RULES.items()
        for name in names
        for kind in MASKS
        if compensation in (None, name) and masks in (None, kind)
    ]
    rows = []
    for found in comparisons(model, samples, chosen):
        rows.append(_row(found))
        typer.echo("  " + "  ".join(rows[-1]), err=True)
    print_records(HEADER, rows, json)


def _check_name(what: str, name: str | None, known: Iterable[str]) -> None:
    from ...backend.errors import UnknownNameError

    if name is not None and name not in known:
        raise UnknownNameError(what, name, tuple(known), "weft bench equality --help")


def _row(found: Comparison) -> tuple[str, ...]:
    one, way = found.float32, found.combination
    kinds = (one.losses, one.weights, one.optimizer, one.state)
    numbers = kinds if one.masks_equal else (float("inf"),) * 4
    return (
        *(way.rule, way.compensation, way.masks),
        *(f"{number:.1e}" for number in numbers),
        one.worst,
        f"{one.others:.1e}",
        f"{found.float64.largest:.1e}",
        f"{found.nudged.largest:.1e}",
    )
