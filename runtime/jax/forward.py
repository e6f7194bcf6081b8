"""The forward alone: predictions with the weights as they are, drawing nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax

from ...compiler.plan.program import HOST, Source
from ..tick.job import Job
from .stage import Model, StageFunctions

Array = Any


def predict(
    job: Job, functions: Sequence[StageFunctions], model: Model, inputs: Sequence[Array]
) -> list[Array]:
    """Predictions for a batch of samples; the new normalization state is dropped."""

    def one(*sample: Array) -> list[Array]:
        known = forward_through(functions, model, from_host(sample))
        return [known[source] for source in job.stages.predictions]

    return jax.vmap(one)(*inputs)


def from_host(sample: Sequence[Array]) -> dict[Source, Array]:
    """The model's inputs by source."""
    return {Source(HOST, number): value for number, value in enumerate(sample)}


def forward_through(
    functions: Sequence[StageFunctions], model: Model, given: Mapping[Any, Array]
) -> dict[Any, Array]:
    """What stages read and make for one sample, given what they read from elsewhere."""
    known = dict(given)
    for stage_functions in functions:
        stage = stage_functions.stage
        outputs = stage_functions.evaluate(model, [known[source] for source in stage.inputs])
        known |= {Source(stage.index, n): value for n, value in enumerate(outputs)}
    return known
