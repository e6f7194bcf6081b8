"""Prints in what the executors differ: `python equal_bits.py WIDTH COMPENSATION...`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import jax
import numpy as np
import torch
from weft.bench.equality import JaxExecutor, ReferenceExecutor
from weft.bench.equality_cases import job_of, narrow_case
from weft.runtime.job import Job


def differing(job: Job, inputs: tuple[np.ndarray, ...]) -> Iterator[str]:
    """Losses and tensors that differ in a bit, and those that were not trained."""
    got, expected = JaxExecutor(job, chunk=64), ReferenceExecutor(job)
    pairs = zip(*((e.feed(inputs), e.flush()) for e in (got, expected)), strict=True)
    if not all(np.array_equal(mine.losses.values, its.losses.values) for mine, its in pairs):
        yield "losses"
    mine = got.tensors()
    for name, value in expected.tensors().items():
        if not torch.equal(mine[name], value) or torch.equal(value, job.start(name)):
            yield name
    for name, state in expected.optimizer.items():
        for key, value in state.items():
            if not np.array_equal(np.array(got.model.optimizer[name][key]), value.numpy()):
                yield f"{key} of {name}"


def main(width: int, compensations: list[str]) -> None:
    found = narrow_case(200, width)
    jobs = {name: job_of(found, "sgdm", name, "none") for name in compensations}
    wrong = {name: list(differing(job, found.inputs)) for name, job in jobs.items()}
    print(json.dumps(wrong))


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main(int(sys.argv[1]), sys.argv[2:])
