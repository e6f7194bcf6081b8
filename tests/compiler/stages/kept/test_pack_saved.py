"""Saved activations in 8 bits: how far they are from exact ones, and what stays exact."""

from __future__ import annotations

from math import prod

import pytest
import torch
import weft
from helpers.jobs import samples
from helpers.packed_layers import two_layers
from helpers.reversible_chains import captured, job_of, network
from torch import Tensor
from weft.compiler.plan.check import check
from weft.compiler.plan.program import Stages
from weft.compiler.plan.program_graph import kept_inputs
from weft.compiler.stages.kept.pack_saved import Packing, pack_saved
from weft.compiler.stages.kept.reversible import reversible
from weft.compiler.witness.staged import run
from weft.runtime.reference.executor import ReferenceExecutor

PACKINGS: tuple[Packing, ...] = ("int8", "fp8")
HALF_STEP = {"int8": 0.5 / 127, "fp8": 2**-4}
"""Largest rounding error: of the group's largest value, or of the value itself (3 bits of fraction,
or half of the smallest step, 2^-9, of a group scaled to 448)."""


def saved_by(stages: Stages, index: int, given: list[Tensor]) -> list[Tensor]:
    program = stages.stages[index].program
    return run(program.forward, given)[-len(program.saved) :]


@pytest.mark.parametrize("packing", PACKINGS)
def test_each_element_is_within_half_a_step_and_zeros_are_zeros(packing: Packing) -> None:
    model, exact = two_layers(torch.float32)
    packed = pack_saved(exact, packing)
    weights = [model[2].weight.detach(), model[2].bias.detach()]
    generator = torch.Generator().manual_seed(0)
    scales = 10.0 ** torch.randint(-6, 6, (16, 8, 8), generator=generator)
    x = torch.randn(1, 16, 8, 8, generator=generator) * scales
    x[0, 3] = 0  # groups of zeros
    kept = saved_by(exact, 1, [*weights, x])
    codes, scale = saved_by(packed, 1, [*weights, x])[-2:]
    assert codes.element_size() == 1
    big = next(value for value in kept if value.numel() == codes.numel())
    again = (codes.float() * scale).reshape(big.shape)
    assert not again[big == 0].any()
    assert torch.isfinite(again).all()
    groups, error = big.reshape(codes.shape), (again - big).abs().reshape(codes.shape)
    largest = groups.abs().amax(1, keepdim=True)
    if packing == "int8":
        assert (error <= HALF_STEP["int8"] * largest * 1.0001).all()
    else:
        least = largest / 448 * 2**-10
        assert (error <= (HALF_STEP["fp8"] * groups.abs()).maximum(least) * 1.0001).all()


@pytest.mark.parametrize("packing", PACKINGS)
def test_the_forward_is_exact_and_gradients_are_near(packing: Packing) -> None:
    model, exact = two_layers(torch.float32)
    packed = pack_saved(exact, packing)
    jobs = [job_of(model, stages, {}, "none", 0.02) for stages in (exact, packed)]
    inputs = samples(jobs[0], 1)
    runs = [ReferenceExecutor(job) for job in jobs]
    losses = []
    for one in runs:
        one.feed(inputs)
        losses.append(one.flush().losses.values)
    assert losses[0] == losses[1]  # of the one sample, before any update
    before = dict(model.named_parameters())
    moved, near = ({n: v - before[n].detach() for n, v in one.tensors().items()} for one in runs)
    for name, step in moved.items():
        assert (near[name] - step).norm() <= 0.05 * step.norm(), name
    assert any(not torch.equal(near[name], step) for name, step in moved.items())


@pytest.mark.parametrize(("packing", "bytes_each"), [("int8", 1 + 4 / 64), ("fp8", 1 + 4 / 16)])
def test_bytes_of_the_fifo(packing: Packing, bytes_each: float) -> None:
    _, exact = two_layers(torch.float32)
    packed = pack_saved(exact, packing)
    old, new = (stages.stages[1].program.saved_bytes for stages in (exact, packed))
    large = sum(
        prod(spec.shape)
        for spec in exact.stages[1].program.saved
        if spec.elements >= 1024 and spec.dtype == "float32"
    )
    assert large == 1024
    assert old - new == large * (4 - bytes_each)
    last = len(exact) - 1
    assert packed.stages[last] is exact.stages[last]


def test_what_is_given_back_stays_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.compiler.stages.kept.pack_saved._LEAST_ELEMENTS", 64)
    model = network("halves", torch.float32)
    graph, kept = captured(model)
    stages = reversible(kept, graph.reversible, anchor_every=1)
    packed = pack_saved(stages, "int8")
    anchors = [kept_inputs(stage.program) for stage in stages.stages]
    assert [kept_inputs(stage.program) for stage in packed.stages] == anchors
    assert sum(map(len, anchors)) == 3
    assert any(spec.dtype == "int8" for s in packed.stages for spec in s.program.saved)


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_plan_of_packed_stages_is_sound(packing: Packing) -> None:
    model, _ = two_layers(torch.float32)
    sample = torch.zeros(1, 1, 8, 8), torch.zeros(1, dtype=torch.long)
    plans = [
        weft.compile(model, sample, "cross_entropy", "wse2", {"packing": kind, "recompute": True})
        for kind in (None, packing)
    ]
    for plan in plans:
        assert plan.document.witness == "float64"
        assert not check(plan.document, None, plan.programs)
    fifos = [
        sum(s.memory_per_pe.activation_fifo_bytes * s.region.area for s in plan.document.stages)
        for plan in plans
    ]
    assert fifos[1] < fifos[0]
