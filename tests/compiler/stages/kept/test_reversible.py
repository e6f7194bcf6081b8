"""Reversible stages train as the same stages with all activations kept, where the inverse is exact.

The judge of both is the witness: torch's own gradients of the model, in float64.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
import torch.nn.functional as F
from helpers.jobs import samples
from helpers.reversible_chains import CHAINS, captured, job_of, network
from torch import Tensor, nn
from weft.backend.nn.rev_unet import rev_unet
from weft.compiler.capture.graph import Graph
from weft.compiler.capture.sample import OneSample
from weft.compiler.plan.program import HOST, Stages
from weft.compiler.stages.coarsen import merge_modules
from weft.compiler.stages.cut import cut
from weft.compiler.stages.group_updates import assign_updates
from weft.compiler.stages.kept.reversible import reversible
from weft.compiler.stages.recompute import recompute
from weft.compiler.witness.witness import Witness
from weft.runtime.reference.executor import ReferenceExecutor, SequentialReference
from weft.runtime.tick.job import Executor, Job

EXACT = 1e-9
CHAIN_NAMES = sorted(CHAINS)


@cache
def chain(name: str) -> tuple[nn.Module, Graph, Stages]:
    model = network(name)
    return model, *captured(model)


class Segmenter(nn.Module):
    """A reversible 3-D U-Net and the mean of its scores."""

    def __init__(self) -> None:
        super().__init__()
        self.net = rev_unet(1, 3, width=4, levels=2, blocks=2, alpha_fwd=0.9, alpha_bkw=0.8)
        self.drop = nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.net(x)).mean((2, 3, 4))


def fifo_bytes(stages: Stages) -> int:
    return sum((stages.delay(s.index) + 1) * s.program.saved_bytes for s in stages.stages)


def distance(one: Executor, other: Executor, job: Job, count: int) -> float:
    """The largest relative distance of any tensor of the model after training with both."""
    inputs = samples(job, count)
    for executor in (one, other):
        executor.feed(inputs)
        executor.flush()
    mine, theirs = one.tensors(), other.tensors()
    assert mine.keys() == theirs.keys()
    pairs = ((mine[name].double(), value.double()) for name, value in theirs.items())
    return max(float((a - b).norm() / b.norm().clamp_min(1e-30)) for a, b in pairs)


@pytest.mark.parametrize("name", CHAIN_NAMES)
@pytest.mark.parametrize("anchor_every", [0, 2])
def test_gradients_and_states_are_those_of_torch(name: str, anchor_every: int) -> None:
    model, graph, kept = chain(name)
    stages = reversible(kept, graph.reversible, anchor_every)
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(1, 1, 8, 8, dtype=torch.float64, generator=generator)
    witness = Witness(OneSample(model, F.cross_entropy), (image, torch.tensor([2])), graph)
    verdict = witness(stages)  # raises what differs
    assert verdict.distance < EXACT
    assert verdict.counts["buffer"] >= 4
    assert verdict.counts["draw"] >= 2


@pytest.mark.parametrize("name", CHAIN_NAMES)
@pytest.mark.parametrize("compensation", ["stash", "zero delay"])
def test_exact_where_the_inverse_has_the_weights_of_the_forward(
    name: str, compensation: str
) -> None:
    model, graph, kept = chain(name)
    stages = reversible(kept, graph.reversible)
    make = SequentialReference if compensation == "zero delay" else ReferenceExecutor
    rule = "none" if compensation == "zero delay" else "stash"
    jobs = [job_of(model, one, graph.constants, rule) for one in (stages, kept)]
    assert distance(make(jobs[0]), make(jobs[1]), jobs[0], 34) < EXACT


def test_the_3d_u_net_is_exact_too() -> None:
    torch.manual_seed(0)
    model = Segmenter().double()
    graph, kept = captured(model, (1, 4, 4, 4))
    stages = reversible(kept, graph.reversible)
    assert fifo_bytes(stages) < 0.6 * fifo_bytes(kept)
    jobs = [job_of(model, one, graph.constants, "stash") for one in (stages, kept)]
    executors = [ReferenceExecutor(job) for job in jobs]
    assert distance(*executors, jobs[0], 20) < EXACT


def test_with_present_weights_the_error_goes_to_zero_with_the_rate() -> None:
    model, graph, kept = chain("chain")
    stages = reversible(kept, graph.reversible)

    def drift(rate: float) -> float:
        jobs = [job_of(model, one, graph.constants, "none", rate) for one in (stages, kept)]
        return distance(*map(ReferenceExecutor, jobs), jobs[0], 30)

    large, small = drift(1e-2), drift(1e-4)
    assert large > 1e-7  # or the inverse would not be that of other weights
    assert small < large / 1000  # weights move by the rate, and their error by rate times error


def test_a_chain_keeps_statistics_and_keys_only() -> None:
    _, graph, kept = chain("chain")
    stages = reversible(kept, graph.reversible)
    rebuilding = [stage for stage in stages.stages if stage.program.arriving]
    assert len(rebuilding) == len(graph.reversible) == 6
    for stage in rebuilding:
        assert stage.program.saved_bytes == 2 * 8 * 4 + 2 * 16  # mean, variance; two keys
    anchored = reversible(kept, graph.reversible, anchor_every=2)
    stream = 4 * 8 * 8 * 8
    more = [
        new.program.saved_bytes - old.program.saved_bytes
        for new, old in zip(anchored.stages, stages.stages, strict=True)
    ]
    assert sorted(more)[-2:] == [stream, stream]


def test_each_value_is_given_back_by_one_later_stage() -> None:
    for name in CHAIN_NAMES:
        _, graph, kept = chain(name)
        stages = reversible(kept, graph.reversible)
        for source, askers in stages.asking.items():
            giver = stages.rebuilt[source]
            assert source.stage != HOST
            assert max(askers) < giver.stage
            assert source in stages.stages[giver.stage].inputs


def test_coarser_stages_undo_several_updates_at_once() -> None:
    model, graph, _ = chain("chain")
    blocks = cut(graph, merge_modules(assign_updates(graph), blocks=True))
    stages = reversible(blocks, graph.reversible)
    rebuilding = [stage for stage in stages.stages if stage.program.arriving]
    assert [stage.name for stage in rebuilding] == [f"chain.layers.{n}" for n in range(3)]
    jobs = [job_of(model, one, graph.constants, "stash") for one in (stages, blocks)]
    assert distance(*map(ReferenceExecutor, jobs), jobs[0], 20) < EXACT


def test_anchors_may_recompute() -> None:
    model, graph, kept = chain("silo")
    stages = recompute(reversible(kept, graph.reversible))
    assert fifo_bytes(stages) < fifo_bytes(reversible(kept, graph.reversible))
    jobs = [job_of(model, one, graph.constants, "stash") for one in (stages, kept)]
    assert distance(*map(ReferenceExecutor, jobs), jobs[0], 20) < EXACT


def test_a_sequence_that_keeps_its_activations_does_so() -> None:
    model = network("chain")
    model.chain.keeps = True
    graph, kept = captured(model)
    assert not graph.reversible
    assert reversible(kept, graph.reversible) is kept


def test_a_run_goes_on_from_a_snapshot() -> None:
    model, graph, kept = chain("halves")
    stages = reversible(kept, graph.reversible)
    job = job_of(model, stages, graph.constants, "none")
    inputs = samples(job, 30)
    whole, first, second = (ReferenceExecutor(job) for _ in range(3))
    whole.feed(inputs)
    first.feed([array[:17] for array in inputs])
    second.restore(first.snapshot())
    second.feed([array[17:] for array in inputs])
    expected = whole.snapshot()
    assert any(name.startswith("rebuilt/") for name in expected)
    found = second.snapshot()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
