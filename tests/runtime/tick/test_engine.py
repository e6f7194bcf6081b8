"""Coarser stages and recompute in the executors: the programs differ, the tick does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from helpers.jobs import SkipNet, job_of, samples
from weft.compiler.capture.capture import capture
from weft.compiler.stages.coarsen import merge_runs
from weft.compiler.stages.cut import cut
from weft.compiler.stages.group import assign
from weft.compiler.stages.recompute import recompute
from weft.runtime.reference.executor import ReferenceExecutor, SequentialReference
from weft.runtime.tick.job import Job

COUNT = 60


def _job(compensation: str, *, recomputing: bool) -> Job:
    """SkipNet in 4 stages instead of 7; the first saves its image only if it recomputes."""
    torch.manual_seed(0)
    model = SkipNet().double()
    sample = torch.zeros(1, 1, 6, 6, dtype=torch.float64), torch.zeros(1, dtype=torch.long)
    graph = capture(model, sample, F.cross_entropy)
    stages = cut(graph, merge_runs(assign(graph), [0, 3, 5, 6]))
    assert len(stages) == 4
    stages = recompute(stages) if recomputing else stages
    assert any(stage.program.recomputes for stage in stages.stages) == recomputing
    return job_of(model, stages, compensation=compensation)


def _trained(executor, job: Job):
    losses = [executor.feed(samples(job, COUNT)), executor.flush()]
    return torch.cat([torch.as_tensor(part.losses.values) for part in losses]), executor.tensors()


def _same(mine, theirs, bound: float) -> None:
    torch.testing.assert_close(mine[0], theirs[0], rtol=bound, atol=bound)
    assert mine[1].keys() == theirs[1].keys()
    for name, value in theirs[1].items():
        torch.testing.assert_close(mine[1][name], value, rtol=bound, atol=bound)


@pytest.mark.parametrize(
    ("executor", "compensation"),
    [(ReferenceExecutor, "stash"), (SequentialReference, "none")],
    ids=["stash", "sequential"],
)
def test_recompute_changes_no_number_where_forward_and_backward_see_the_same_weights(
    executor, compensation
):
    """Normalization state included: it advances once per sample. 1e-12: float64 roundings."""
    saved, again = (_job(compensation, recomputing=flag) for flag in (False, True))
    _same(_trained(executor(again), again), _trained(executor(saved), saved), 1e-12)


def test_with_delay_recomputed_activations_are_those_of_the_weights_of_the_backward():
    """So it differs from saving them, as it should: only the weights tell the two apart."""
    saved, again = (_job("none", recomputing=flag) for flag in (False, True))
    mine = _trained(ReferenceExecutor(again), again)[1]
    theirs = _trained(ReferenceExecutor(saved), saved)[1]
    assert not torch.equal(mine["stem.weight"], theirs["stem.weight"])
    frozen = [replace(job, schedule=lambda update: 0.0) for job in (saved, again)]
    results = [_trained(ReferenceExecutor(job), job) for job in frozen]
    _same(results[0], results[1], 1e-12)


@pytest.mark.parametrize("compensation", ["none", "sc+lwp"])
def test_jax_equals_the_reference_with_recompute(compensation):
    jax = pytest.importorskip("jax")
    from weft.runtime.jax.executor import JaxExecutor

    job = _job(compensation, recomputing=True)
    with jax.enable_x64(True):
        mine = _trained(JaxExecutor(job, chunk=30), job)
    _same(mine, _trained(ReferenceExecutor(job), job), 1e-10)
