"""Muon, NorMuon, rotated AdamW and rates by stage in whole pipelines, with masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from helpers.jobs import perceptron_job, samples, skip_net_job
from helpers.plans_to_train import RECIPE, small_plan
from weft.backend.errors import UnsupportedError, UserError
from weft.backend.optim import StageRates, UpdateRule, build_rule
from weft.bench.models.bytes_model import ByteModel, byte_loss
from weft.compiler.recipes.read import make_recipe
from weft.runtime.executors import make_executor
from weft.runtime.reference.executor import ReferenceExecutor
from weft.runtime.tick.job import Job
from weft.runtime.tick.make_job import make_job

jax = pytest.importorskip("jax")

COUNT = 30
RULES: dict[str, UpdateRule] = {
    "muon": build_rule("muon", compensation="stash", weight_decay=1e-3),
    "normuon": StageRates(build_rule("normuon", nesterov=True), 10.0),
    "rotated": StageRates(build_rule("rotated_adamw", rotate_every=3), 2.0, 20),
    "sgdm": StageRates(build_rule("sgdm", compensation="sc+lwp"), 5.0, 20),
}


def job_with(name: str) -> Job:
    """Half of the convolutions' weights are masked; the head is stepped entry by entry."""
    job = skip_net_job("none", torch.float64)
    return replace(job, rule=RULES[name], by_element=frozenset({"head.weight", "head.bias"}))


@pytest.fixture
def x64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize(
    ("name", "executor"),
    [(name, "jax") for name in RULES] + [("normuon", "torch-xla"), ("sgdm", "torch-xla")],
)
def test_executors_equal_the_reference(name: str, executor: str, x64: None) -> None:
    if executor == "torch-xla" and find_spec("torch_xla") is None:
        pytest.skip("torch_xla is missing")
    job = job_with(name)
    machines = make_executor(executor, job, "pipelined", "cpu"), ReferenceExecutor(job)
    got, expected = (
        np.concatenate([m.feed(samples(job, COUNT)).losses.values, m.flush().losses.values])
        for m in machines
    )
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    mine, theirs = (machine.tensors() for machine in machines)
    for key, value in theirs.items():
        assert (mine[key] - value).norm() <= 1e-8 * value.norm(), key
        if key in job.masks:
            assert not mine[key][~job.masks[key]].any()


def test_torch_xla_refuses_what_it_would_make_a_constant() -> None:
    """It has no QR: the CPU's, of the zeros that it traces with, would stand in the program."""
    if find_spec("torch_xla") is None:
        pytest.skip("torch_xla is missing")
    with pytest.raises(UnsupportedError, match="the QR of rotated_adamw"):
        make_executor("torch-xla", job_with("rotated"), "pipelined", "cpu")


@pytest.mark.parametrize(
    ("name", "executor"), [("rotated", "reference"), ("normuon", "jax"), ("sgdm", "jax")]
)
def test_a_restored_run_goes_on_to_the_bit(name: str, executor: str) -> None:
    job = replace(perceptron_job("none"), rule=RULES[name])
    x, y = samples(job, COUNT)
    whole, first, second = (make_executor(executor, job, "pipelined") for _ in range(3))
    whole.feed([x, y])
    first.feed([x[:17], y[:17]])
    second.restore(first.snapshot())
    second.feed([x[17:], y[17:]])
    for machine in (whole, second):
        machine.flush()
    for key, value in whole.tensors().items():
        assert torch.equal(second.tensors()[key], value), key


def test_rates_by_stage_divide_the_learning_rate_by_the_delay() -> None:
    """What the first gradient to reach the first stage does to it."""
    job = perceptron_job("none")
    first, name = job.stages.delay(0), job.stages.stages[0].parameters[0]
    assert first == 6
    rule = build_rule("sgdm", momentum=0.5)
    slow, plain = (
        ReferenceExecutor(replace(job, rule=own)) for own in (StageRates(rule, 3.0), rule)
    )
    for machine in (slow, plain):
        machine.feed(samples(job, 1))
        machine.flush()
    moved = [machine.tensors()[name] - job.start(name) for machine in (slow, plain)]
    assert moved[0].norm() > 0
    torch.testing.assert_close(3 * moved[0], moved[1], rtol=1e-3, atol=1e-7)


def of_recipe(*overrides: str, mode: Any = "pipelined") -> Job:
    return make_job(small_plan(), make_recipe(RECIPE, overrides), 40, mode)


def test_recipes_reach_the_rule() -> None:
    job = of_recipe(
        "optimizer.name=muon",
        "optimizer.momentum=null",
        "optimizer.stage_rate={delay: 4, anneal: 0.5}",
        "pipeline.compensation=null",
    )
    expected = {
        "optimizer": "muon",
        "momentum": 0.95,
        "compensation": "stash",
        "stage_rate_delay": 4.0,
        "stage_rate_anneal": 20,
    }
    assert {key: job.settings[key] for key in expected} == expected
    last = job.stages.stages[-1].parameters or job.stages.stages[-2].parameters
    assert job.by_element == frozenset(last), "the head"
    assert job.rule.stash
    globbed = of_recipe("optimizer.name=normuon", "optimizer.by_element=['*.1.*']")
    assert globbed.by_element
    assert all(".1." in name for name in globbed.by_element)
    rotated = of_recipe("optimizer={name: rotated_adamw, rotate_every: 7, rotate_largest: 5}")
    assert (rotated.settings["rotate_every"], rotated.settings["rotate_largest"]) == (7, 5)
    assert (
        "stage_rate_delay" not in of_recipe("optimizer.stage_rate={}", mode="sequential").settings
    )
    with pytest.raises(UserError, match="choose lr for batch size 1"):
        of_recipe("optimizer={name: muon, reference_batch_size: 4}")


def test_tables_of_embeddings_are_stepped_entry_by_entry() -> None:
    import weft
    from weft.compiler.plan.training import stepped_by_element

    tokens = torch.zeros(1, 6, dtype=torch.long)
    model = ByteModel(blocks=1, width=8, window=6)
    plan = weft.compile(model, (tokens, tokens), loss=byte_loss, target="tiny_mesh")
    found = stepped_by_element(plan.stages, None)
    tables = {n for n, m in model.named_modules() if isinstance(m, torch.nn.Embedding)}
    assert {f"{name}.weight" for name in tables} <= found
    assert len(found) < len(list(model.named_parameters())) / 2
