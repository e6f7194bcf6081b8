"""Prints in what the executors differ to the bit in float64, jax's stages doing torch's arithmetic.

    python equal_bits.py MODEL:RULE:COMPENSATION:MASKS...

jax calls the reference's own programs for the stages, so what is compared is all the rest of the
tick: FIFOs, delays, filling and draining, prediction, stashes, update rules, masks and their
changes. `narrow` stays as it is: three layers of width one, where no sum has two terms.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import jax
import numpy as np
import torch
from torch import fx
from weft.bench.equality.cases import EqualityCase, case, job_of, narrow_case
from weft.bench.equality.equality import JaxExecutor, ReferenceExecutor
from weft.runtime.jax import stage as jax_stage
from weft.runtime.jax.ops.predicted import added_up
from weft.runtime.tick.job import Job

COUNT = 100


def call_torch(module: fx.GraphModule, squares: int = 0) -> Callable[..., Any]:
    """Like `lower`, by calls of `module` on the host."""
    values = [node.meta["val"] for node in module.graph.output_node().args[0]]
    values += [torch.zeros((), dtype=value.dtype) for value in values[:squares]]
    specs = [jax.ShapeDtypeStruct(v.shape, jax_stage.jax_dtype(v.dtype)) for v in values]

    def run(*arguments: np.ndarray) -> list[np.ndarray]:
        results = module(*(torch.tensor(np.asarray(argument)) for argument in arguments))
        sums = [value.square().sum() for value in results[:squares]]
        return [value.contiguous().numpy() for value in (*results, *sums)]

    def called(*arguments: Any) -> Any:
        return jax.pure_callback(run, specs, *map(added_up, arguments))

    return called


def differing(job: Job, inputs: tuple[np.ndarray, ...]) -> Iterator[str]:
    """Losses, tensors and masks that differ in a bit, and weights that were not trained."""
    got, expected = JaxExecutor(job, chunk=64), ReferenceExecutor(job)
    pairs = zip(*((e.feed(inputs), e.flush()) for e in (got, expected)), strict=True)
    if not all(np.array_equal(mine.losses.values, its.losses.values) for mine, its in pairs):
        yield "losses"
    mine = got.tensors()
    trained = {name for stage in job.stages.stages for name in stage.trained}
    for name, value in expected.tensors().items():
        unmoved = name in trained and torch.equal(value, job.start(name))
        if not torch.equal(mine[name], value) or unmoved:
            yield name
    for name, state in expected.optimizer.items():
        for key, value in state.items():
            if not np.array_equal(np.array(got.model.optimizer[name][key]), value.numpy()):
                yield f"{key} of {name}"
    masks = got.masks()
    yield from (f"mask of {n}" for n, m in expected.masks().items() if not torch.equal(masks[n], m))


def found_in(combination: str) -> list[str]:
    model, *rest = combination.split(":")
    chosen: EqualityCase = (
        narrow_case(COUNT, 1) if model == "narrow" else case(model, COUNT, torch.float64)
    )
    lower = jax_stage.lower if model == "narrow" else call_torch
    with mock.patch.object(jax_stage, "lower", lower):
        return list(differing(job_of(chosen, *rest), chosen.inputs))


def main(combinations: list[str]) -> None:
    print(json.dumps({combination: found_in(combination) for combination in combinations}))


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main(sys.argv[1:])
