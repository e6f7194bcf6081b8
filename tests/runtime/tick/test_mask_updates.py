"""Mask updates inside the pipeline: when they happen, what they do, the same in every executor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import weft
from helpers.jobs import SkipNet, job_of, perceptron, samples
from helpers.plans_to_train import RECIPE, small_data
from helpers.stages_of import stages_of
from torch import nn
from weft.backend.errors import UserError
from weft.backend.sparsity import Sparsifier, configure
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.network import build_model
from weft.compiler.recipes.read import make_recipe
from weft.runtime.reference.executor import ReferenceExecutor, SequentialReference
from weft.runtime.tick.job import Executor, Job

UPDATE = {"freq": 5, "stop": 40}
CONFIGS: dict[str, dict[str, Any]] = {
    "static": {"sparsity": 0.6},
    "gmp": {
        "algorithm": "gmp",
        "sparsity": {"type": "linear", "init": 0.0, "slope": 0.02},
        "update": UPDATE,
    },
    "set": {"algorithm": "set", "sparsity": 0.6, "update": UPDATE},
    "rigl": {"algorithm": "rigl", "sparsity": 0.6, "update": UPDATE},
    "rigl_window": {
        "algorithm": "rigl",
        "sparsity": 0.6,
        "update": {"freq": 7, "start": 7},
        "gradient_steps": 3,
    },
    "rigl_listed": {
        "algorithm": "rigl",
        "sparsity": 0.6,
        "update": {"steps": [2, 9]},
        "gradient_steps": 4,
    },
}


def sparse_job(name: str, compensation: str = "none", model: nn.Module | None = None) -> Job:
    """A job in float64, with the masks and the rules of a configuration."""
    torch.manual_seed(0)
    model = (model or perceptron()).to(torch.float64)
    shape = (1, 1, 6, 6) if isinstance(model, SkipNet) else (1, 9)
    stages = stages_of(model, torch.zeros(shape, dtype=torch.float64))
    sparsity = configure(CONFIGS[name])
    job = job_of(model, stages, compensation=compensation, masks=sparsity.masks(model))
    rules = {key: rule for key, rule in sparsity.rules(model).items() if rule.is_dynamic}
    return replace(job, mask_rules=rules)


def update_tick(job: Job, name: str, step: int) -> int:
    """The tick in which the stage of a parameter makes its update number `step`."""
    (stage,) = [s.index for s in job.stages.stages if name in s.parameters]
    return (step - 1) + 2 * (len(job.stages) - 1) - stage


@pytest.mark.parametrize("name", ["gmp", "set", "rigl", "rigl_window"])
def test_masks_change_at_the_tick_of_the_stages_update_and_at_no_other(name: str) -> None:
    job = sparse_job(name)
    executor = ReferenceExecutor(job)
    x, y = samples(job, 40)
    changed: dict[str, list[int]] = {key: [] for key in job.masks}
    for tick in range(40):
        before = executor.masks()
        executor.feed([x[tick : tick + 1], y[tick : tick + 1]])
        for key, mask in executor.masks().items():
            if not torch.equal(mask, before[key]):
                changed[key].append(tick)
    for key, rule in job.mask_rules.items():
        due = [update_tick(job, key, step) for step in range(1, 40) if rule.due(step)]
        assert changed[key] == [tick for tick in due if tick < 40], key
        assert len(changed[key]) >= 3


@pytest.mark.parametrize("compensation", ["none", "stash", "sc+lwp_w"])
@pytest.mark.parametrize("name", CONFIGS)
def test_pruned_weights_and_their_optimizer_state_are_zero_at_every_tick(
    name: str, compensation: str
) -> None:
    job = sparse_job(name, compensation)
    executor = ReferenceExecutor(job)
    x, y = samples(job, 30)
    for tick in range(30):
        executor.feed([x[tick : tick + 1], y[tick : tick + 1]])
        for key, mask in executor.masks().items():
            assert (executor.weights[key][~mask] == 0).all()
            assert all((state[~mask] == 0).all() for state in executor.optimizer[key].values())
            assert executor.weights[key][mask].abs().sum() > 0


def test_a_weight_that_revives_starts_at_zero_without_a_past() -> None:
    job = sparse_job("set", "sc+lwp_w")
    executor = ReferenceExecutor(job)
    x, y = samples(job, 40)
    revived = 0
    for tick in range(40):
        before = executor.masks()
        executor.feed([x[tick : tick + 1], y[tick : tick + 1]])
        for key, mask in executor.masks().items():
            grown = mask & ~before[key]
            revived += int(grown.sum())
            assert (executor.weights[key][grown] == 0).all()
            assert all((state[grown] == 0).all() for state in executor.optimizer[key].values())
    assert revived > 20


@pytest.mark.parametrize("name", CONFIGS)
def test_without_a_delay_it_is_the_sparsifier_around_a_torch_optimizer(name: str) -> None:
    job = sparse_job(name)
    torch.manual_seed(0)
    model = perceptron().to(torch.float64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-3)
    sparsifier = Sparsifier(model, optimizer, CONFIGS[name])
    executor = SequentialReference(replace(job, schedule=lambda update: 0.01))
    x, y = samples(job, 40)
    executor.feed([x, y])
    for row, label in zip(x, y, strict=True):
        optimizer.zero_grad()
        predicted = model(torch.from_numpy(row)[None])
        nn.functional.cross_entropy(predicted, torch.tensor([label])).backward()
        optimizer.step()
    tensors, masks = executor.tensors(), executor.masks()
    for key, mask in sparsifier.masks.items():
        assert torch.equal(masks[key], mask), key
    for key, value in model.named_parameters():
        torch.testing.assert_close(tensors[key], value.detach(), rtol=1e-10, atol=1e-12)


def test_an_update_that_is_not_finite_changes_no_mask_and_is_not_counted() -> None:
    job = sparse_job("rigl")
    x, y = samples(job, 20)
    x[[4, 11]] = np.nan  # step 5 would be the first mask update
    executor = SequentialReference(job)
    masks = [executor.masks()]
    for row in range(20):
        executor.feed([x[row : row + 1], y[row : row + 1]])
        masks.append(executor.masks())
    for key in job.mask_rules:
        changed = [n for n in range(20) if not torch.equal(masks[n][key], masks[n + 1][key])]
        assert changed == [5, 10, 16]
    assert {skips.total for skips in executor.skips() if skips.total} == {2}


def with_nan_where_pruned(executor: ReferenceExecutor) -> None:
    """Gradients of pruned weights become NaN on their way out of the backward programs."""
    update = executor._update

    def poisoned(stage: Any, sample: int, gradients: Any, *rest: Any) -> None:
        named = zip(stage.parameters, gradients, strict=True)
        values = [
            torch.where(executor.mask[n], g, torch.nan) if n in executor.mask else g
            for n, g in named
        ]
        update(stage, sample, values, *rest)

    executor._update = poisoned  # type: ignore[method-assign]


@pytest.mark.parametrize("name", ["static", "gmp", "set"])
def test_nan_in_a_pruned_position_does_no_harm(name: str) -> None:
    job = sparse_job(name, "sc+lwp")
    clean, poisoned = ReferenceExecutor(job), ReferenceExecutor(job)
    with_nan_where_pruned(poisoned)
    for executor in (clean, poisoned):
        executor.feed(samples(job, 30))
        executor.flush()
    expected = clean.tensors()
    assert all(torch.equal(value, expected[key]) for key, value in poisoned.tensors().items())


def test_rigl_never_prefers_a_gradient_that_is_not_finite() -> None:
    job = sparse_job("rigl")
    executor = ReferenceExecutor(job)
    with_nan_where_pruned(executor)
    before = executor.masks()
    executor.feed(samples(job, 30))
    executor.flush()
    assert all(bool(torch.isfinite(value).all()) for value in executor.tensors().values())
    # Everything else being NaN, what was just dropped comes back.
    assert all(torch.equal(mask, before[key]) for key, mask in executor.masks().items())


@pytest.mark.parametrize("name", ["gmp", "set", "rigl_window"])
def test_a_snapshot_between_two_mask_updates_goes_on_to_the_bit(name: str) -> None:
    job = sparse_job(name, "stash")
    x, y = samples(job, 40)
    whole, first, second = (ReferenceExecutor(job) for _ in range(3))
    whole.feed([x, y])
    first.feed([x[:19], y[:19]])
    second.restore(first.snapshot())
    second.feed([x[19:], y[19:]])
    expected = whole.snapshot()
    assert expected.keys() == second.snapshot().keys()
    for key, value in second.snapshot().items():
        assert torch.equal(value, expected[key]), key


@pytest.mark.parametrize("name", ["static", "rigl"])
def test_a_snapshot_without_masks_is_refused(name: str) -> None:
    job = sparse_job(name)
    executor = ReferenceExecutor(job)
    given = {key: v for key, v in executor.snapshot().items() if not key.startswith("mask/")}
    with pytest.raises(UserError, match="mask/"):
        executor.restore(given)


def test_a_rule_without_its_mask_is_refused() -> None:
    job = sparse_job("rigl")
    with pytest.raises(UserError, match="mask of"):
        replace(job, masks={})


def same(got: Executor, expected: Executor, job: Job, cuts: tuple[int, ...]) -> None:
    """Equal masks after each part of the stream, and equal tensors to rounding."""
    x, y = samples(job, cuts[-1])
    for first, last in zip((0, *cuts), cuts, strict=False):
        for executor in (got, expected):
            executor.feed([x[first:last], y[first:last]])
        assert_equal_masks(got, expected)
    for executor in (got, expected):
        executor.flush()
    assert_equal_masks(got, expected)
    mine, theirs = got.tensors(), expected.tensors()
    for key, value in theirs.items():
        assert (mine[key] - value).norm() <= 1e-11 * value.norm(), key


def assert_equal_masks(got: Executor, expected: Executor) -> None:
    masks = got.masks()
    for key, mask in expected.masks().items():
        assert torch.equal(masks[key], mask), key


@pytest.mark.parametrize("name", CONFIGS)
def test_jax_has_the_masks_of_the_reference(name: str) -> None:
    jax = pytest.importorskip("jax")
    from weft.runtime.jax.executor import JaxExecutor

    with jax.enable_x64(True):
        job = sparse_job(name, "sc+lwp")
        same(JaxExecutor(job, chunk=16), ReferenceExecutor(job), job, (1, 12, 30, 50))


def test_jax_has_the_masks_of_the_reference_with_convolutions_and_stashes() -> None:
    jax = pytest.importorskip("jax")
    from weft.runtime.jax.executor import JaxExecutor

    with jax.enable_x64(True):
        job = sparse_job("rigl_window", "stash", SkipNet())
        same(JaxExecutor(job, chunk=16), ReferenceExecutor(job), job, (40,))


def test_jax_counts_no_update_that_is_not_finite() -> None:
    jax = pytest.importorskip("jax")
    from weft.runtime.jax.executor import JaxExecutor

    with jax.enable_x64(True):
        job = sparse_job("rigl_window")
        x, y = samples(job, 40)
        x[[6, 13, 14]] = np.nan
        for kind, mode in ((ReferenceExecutor, "pipelined"), (SequentialReference, "sequential")):
            expected, got = kind(job), JaxExecutor(job, mode, chunk=16)
            for executor in (got, expected):
                executor.feed([x, y])
                executor.flush()
            assert_equal_masks(got, expected)
            assert got.skips() == expected.skips()


def test_jax_resumes_between_mask_updates_to_the_bit() -> None:
    pytest.importorskip("jax")
    from weft.runtime.jax.executor import JaxExecutor

    job = sparse_job("rigl_window", "sc+lwp")
    executor = JaxExecutor(job, chunk=16)
    x, y = samples(job, 40)
    executor.feed([x[:19], y[:19]])
    kept = executor.snapshot()
    executor.feed([x[19:], y[19:]])
    whole = executor.snapshot()
    executor.restart(job)
    executor.restore(kept)
    executor.feed([x[19:], y[19:]])
    for key, value in executor.snapshot().items():
        assert torch.equal(value, whole[key]), key
    without = {key: value for key, value in kept.items() if "masks" not in key}
    with pytest.raises(UserError, match="masks"):
        executor.restore(without)


def test_masks_are_drawn_from_the_configurations_seed_unless_a_group_has_its_own() -> None:
    model = perceptron()
    one, two = (configure(0.5, seed).masks(model)["0.weight"] for seed in (1, 2))
    assert not torch.equal(one, two)
    own = [configure({"sparsity": 0.5, "seed": 3}, s).masks(model)["0.weight"] for s in (1, 2)]
    assert torch.equal(*own)


def test_the_masks_of_a_recipe_follow_its_seed() -> None:
    one, again, two = (build_model(make_recipe({**RECIPE, "seed": seed}))[1] for seed in (1, 1, 2))
    assert all(torch.equal(mask, again[name]) for name, mask in one.items())
    assert all(not torch.equal(mask, two[name]) for name, mask in one.items())


def test_a_trained_plan_keeps_the_masks_it_ended_with(tmp_path: Path) -> None:
    rigl = {"algorithm": "rigl", "sparsity": 0.6, "update": {"freq": 20}}
    plan = compile_recipe(make_recipe({**RECIPE, "sparsity": rigl}))
    run = weft.train(plan, small_data(), executor="reference", epochs=1)
    replace(plan, tensors=run.tensors, masks=run.masks).save(tmp_path / "p")
    loaded = weft.load(tmp_path / "p")
    assert any(not torch.equal(mask, plan.masks[name]) for name, mask in loaded.masks.items())
    for name, mask in loaded.masks.items():
        assert torch.equal(mask, run.masks[name])
        assert (loaded.tensors[name][~mask] == 0).all()
