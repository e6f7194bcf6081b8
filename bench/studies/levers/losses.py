"""What levers on saved activations cost in training: a loss after as many real samples, each way.

All runs of a seed start from the same weights and read the same images in the same order; they
differ by the lever alone, and by what follows from it: stages of another cut have other delays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from ....backend.errors import DivergedError, UserError
from ....compiler.recipes.build import compile_recipe
from ....compiler.recipes.read import make_recipe
from ....runtime.data import Splits, load_data
from ....runtime.data.samples import Part
from ....runtime.training.run import Run
from ..cifar.recipe import BATCH, DECAY, MOMENTUM, RATE, WARMUP
from ..kept import missing_rows

HELD_OUT = 2000
"""Training images that no run trains on and all are scored on."""

_COMMON: Mapping[str, Any] = {
    "input": {"shape": [3, 32, 32], "classes": 10},
    "normalization": {"kind": "online", "alpha_fwd": 1023 / 1024, "alpha_bkw": 127 / 128},
    "optimizer": {
        "name": "sgdm",
        "lr": RATE,
        "momentum": MOMENTUM,
        "weight_decay": DECAY,
        "reference_batch_size": BATCH,
        "schedule": {"kind": "cosine", "warmup": WARMUP},
    },
    "data": "cifar10",
    "epochs": 1,
}


@dataclass(frozen=True)
class LeverLoss:
    """A trained lever: nats a sample and accuracy on images that were held out, None if it
    diverged. `first_delay` is in updates."""

    model: str
    lever: str
    samples: int
    seed: int
    first_delay: int
    loss: float | None
    accuracy: float | None

    @property
    def key(self) -> tuple[object, ...]:
        return self.model, self.lever, self.samples, self.seed


def lever_losses(
    model: str,
    levers: Mapping[str, Mapping[str, Any]],
    images: Path,
    samples: int,
    seed: int,
    records: Path,
) -> Iterator[LeverLoss]:
    """A row for each lever, of `records` where it is there already.

    Raises UserError for images that are not CIFAR-10's or are too few.
    """
    data = _first(load_data(str(images)).splits, samples, images)

    def measure(key: tuple[object, ...]) -> LeverLoss:
        return _trained(model, str(key[1]), levers[str(key[1])], data, seed)

    keys = [(model, lever, samples, seed) for lever in levers]
    return missing_rows(records, LeverLoss, keys, measure)


def _first(data: Splits, samples: int, images: Path) -> Splits:
    """The first training images to train on, the last ones to score on."""
    count = len(data.train)
    if samples + HELD_OUT > count:
        raise UserError(
            "--samples",
            expected=f"at most {max(count - HELD_OUT, 0):,}: {HELD_OUT:,} images are held out",
            got=f"{samples:,} of {count:,} in {images}",
            change="ask for fewer",
        )
    held_out = Part(data.train, np.arange(count - HELD_OUT, count))
    train = Part(data.train, np.arange(samples))
    return replace(data, train=train, validation=None, test=held_out)


def _trained(
    model: str, lever: str, options: Mapping[str, Any], data: Splits, seed: int
) -> LeverLoss:
    recipe = make_recipe(
        {**_COMMON, "model": model, "pipeline": dict(options), "seed": seed}, where=f"lever {lever}"
    )
    plan = compile_recipe(recipe)
    delay, loss, accuracy = plan.stages.delay(0), math.nan, math.nan
    try:
        score = Run(plan, data).train().last_scores[-1]
        loss, accuracy = score.loss or math.nan, score.accuracy or 0.0
    except DivergedError:
        pass  # the row has no loss
    finite = math.isfinite(loss)
    return LeverLoss(
        model,
        lever,
        len(data.train),
        seed,
        delay,
        loss if finite else None,
        accuracy if finite else None,
    )


def losses_table(rows: Sequence[LeverLoss]) -> tuple[list[str], list[list[str]]]:
    """A row for each lever, means over the seeds; a lever with a run that diverged has no loss."""
    by_lever: dict[str, list[LeverLoss]] = {}
    for row in rows:
        by_lever.setdefault(row.lever, []).append(row)
    lines = [
        [
            lever,
            f"{found[0].first_delay}",
            f"{len(found)}",
            _mean([row.loss for row in found], "{:.3f}"),
            _mean([row.accuracy and 100 * row.accuracy for row in found], "{:.2f}"),
        ]
        for lever, found in by_lever.items()
    ]
    return ["lever", "first delay", "seeds", "loss, nats", "accuracy, %"], lines


def _mean(values: Sequence[float | None], text: str) -> str:
    known = [value for value in values if value is not None]
    return text.format(fmean(known)) if len(known) == len(values) else "diverged"
