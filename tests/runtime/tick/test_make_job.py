"""Every key of a recipe's optimizer reaches the job: its runs are those of torch's optimizers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import weft
from helpers.plans_to_train import RECIPE, small_plan
from torch import Tensor, nn
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.optimizer import OptimizerRecipe
from weft.compiler.recipes.read import make_recipe
from weft.runtime.reference.executor import SequentialReference
from weft.runtime.tick.job import Job
from weft.runtime.tick.make_job import make_job

UPDATES, SHAPE = 20, (3, 2)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return small_plan()


def job_of(plan: Plan, *overrides: str, mode: Any = "sequential") -> Job:
    """The recipe has a constant rate and no decay, but for the overrides."""
    bare = {**RECIPE, "optimizer": {"weight_decay": 0.0}}
    return make_job(plan, make_recipe(bare, overrides), UPDATES, mode)


def gradients() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(UPDATES, *SHAPE))


def start() -> Tensor:
    return torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(SHAPE)


def trained(job: Job, delay: int = 0) -> Tensor:
    """Weights after all updates, guarded and at the job's rates."""
    weights: Any = start()
    state = job.rule.init(weights, torch)
    for update, gradient in enumerate(gradients()):
        (usable,), _ = job.guard([torch.from_numpy(gradient)], torch)
        weights, state = job.rule.update(weights, usable, state, delay, job.rate(update), torch)
    return weights


def by_torch(
    make: Callable[[list[Tensor]], torch.optim.Optimizer],
    share: Callable[[int], float] = lambda update: 1.0,
    clip: float | None = None,
) -> Tensor:
    """The same by torch; `share` is of the optimizer's rate."""
    weights = start().requires_grad_()
    optimizer = make([weights])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    for gradient in gradients():
        weights.grad = torch.from_numpy(gradient)
        if clip is not None:
            torch.nn.utils.clip_grad_norm_([weights], clip)
        optimizer.step()
        schedule.step()
    return weights.detach()


def sgd(**options: Any) -> Callable[[list[Tensor]], torch.optim.Optimizer]:
    return lambda weights: torch.optim.SGD(weights, **{"lr": 0.05, "momentum": 0.9, **options})


def adamw(**options: Any) -> Callable[[list[Tensor]], torch.optim.Optimizer]:
    own = {"lr": 0.05, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}
    return lambda weights: torch.optim.AdamW(weights, **{**own, **options})


LR = "optimizer.lr=0.05"
ADAMW = (LR, "optimizer.name=adamw")


def same(got: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)


BY_KEY = {
    "lr": ((LR,), sgd()),
    "momentum": ((LR, "optimizer.momentum=0.7"), sgd(momentum=0.7)),
    "weight_decay": ((LR, "optimizer.weight_decay=0.3"), sgd(weight_decay=0.3)),
    "nesterov": ((LR, "optimizer.nesterov=true"), sgd(nesterov=True)),
    "name": (ADAMW, adamw()),
    "betas": ((*ADAMW, "optimizer.betas=[0.5,0.9]"), adamw(betas=(0.5, 0.9))),
    "eps": ((*ADAMW, "optimizer.eps=0.5"), adamw(eps=0.5)),
    "decoupled decay": ((*ADAMW, "optimizer.weight_decay=0.3"), adamw(weight_decay=0.3)),
}


@pytest.mark.parametrize("key", BY_KEY)
def test_a_key_of_the_optimizer_trains_as_torch_does(plan: Plan, key: str) -> None:
    overrides, expected = BY_KEY[key]
    same(trained(job_of(plan, *overrides)), by_torch(expected))


MUON, ROTATED = (f"optimizer.name={name}" for name in ("muon", "rotated_adamw"))
CHANGED = {
    "name": ((), "optimizer.name=adamw"),
    "lr": ((), "optimizer.lr=0.06"),
    "momentum": ((), "optimizer.momentum=0.7"),
    "weight_decay": ((), "optimizer.weight_decay=0.3"),
    "nesterov": ((), "optimizer.nesterov=true"),
    "betas": (ADAMW, "optimizer.betas=[0.5,0.9]"),
    "eps": (ADAMW, "optimizer.eps=0.5"),
    "rotate_every": ((ROTATED,), "optimizer.rotate_every=3"),
    "rotate_largest": ((ROTATED,), "optimizer.rotate_largest=0"),
    "by_element": ((MUON,), "optimizer.by_element=['*']"),
    "schedule": ((), "optimizer.schedule={kind: cosine}"),
    "stage_rate": ((), "optimizer.stage_rate={delay: 3}"),
    "reference_batch_size": ((), "optimizer.reference_batch_size=16"),
}
"""Of each key of the optimizer: what else is set, and another value of the key."""


@pytest.mark.parametrize("key", OptimizerRecipe.model_fields)
def test_no_key_of_the_optimizer_is_ignored(plan: Plan, key: str) -> None:
    """By what four updates late gradients train, or by which parameters are no matrices."""
    given, change = CHANGED[key]
    before = job_of(plan, "pipeline.compensation=none", *given, mode="pipelined")
    after = job_of(plan, "pipeline.compensation=none", *given, change, mode="pipelined")
    is_same = torch.equal(trained(before, delay=4), trained(after, delay=4))
    assert not is_same or before.by_element != after.by_element


def cosine(update: int) -> float:
    return 0.25 + 0.75 * (1 + np.cos(np.pi * update / UPDATES)) / 2


SCHEDULES = {
    "cosine": (
        ("optimizer.schedule={kind: cosine, final: 0.25}",),
        cosine,
    ),
    "milestones": (
        ("optimizer.schedule={kind: multistep, milestones: [0.3, 0.6], factor: 0.5}",),
        lambda update: 0.5 ** ((update >= 6) + (update >= 12)),
    ),
    "warm-up": (
        ("optimizer.schedule={kind: cosine, final: 0.25, warmup: 0.2}",),
        lambda update: cosine(4) * (update + 1) / 4 if update < 4 else cosine(update),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_schedule_is_that_of_the_recipe(plan: Plan, name: str) -> None:
    overrides, share = SCHEDULES[name]
    same(trained(job_of(plan, LR, *overrides)), by_torch(sgd(), share))


HIGHEST = {
    **{name: overrides for name, (overrides, _) in SCHEDULES.items()},
    "a milestone at once": (
        "optimizer.schedule={kind: multistep, milestones: [0, 0.5], factor: 0.5}",
    ),
    "a milestone while it rises": (
        "optimizer.schedule={kind: multistep, milestones: [0.2], factor: 0.5, warmup: 0.4}",
    ),
    "it rises to the end": ("optimizer.schedule={kind: cosine, final: 0.25, warmup: 0.99}",),
}


@pytest.mark.parametrize("name", HIGHEST)
def test_the_rate_that_is_told_is_the_highest_of_all_updates(plan: Plan, name: str) -> None:
    job = job_of(plan, LR, *HIGHEST[name])
    assert job.settings["learning_rate"] == max(job.rate(update) for update in range(UPDATES))


def test_gradients_are_clipped_as_the_recipe_says(plan: Plan) -> None:
    got = trained(job_of(plan, LR, "training.clip_norm=0.5"))
    same(got, by_torch(sgd(), clip=0.5), 1e-5)  # torch adds 1e-6 to the norm


@pytest.mark.parametrize(
    ("name", "chosen", "expected"),
    [("sgdm", "sc+lwp", "sc+lwp"), ("adamw", "stash", "stash"), ("sgdm", "null", "ab")],
)
def test_the_compensation_is_that_of_the_recipe(
    plan: Plan, name: str, chosen: str, expected: str
) -> None:
    overrides = (f"optimizer.name={name}", f"pipeline.compensation={chosen}")
    assert job_of(plan, *overrides, mode="pipelined").settings["compensation"] == expected
    assert job_of(plan, *overrides).settings["compensation"] == "none"


def test_nothing_is_scaled_unless_asked_for(plan: Plan) -> None:
    recipe = make_recipe({key: RECIPE[key] for key in ("model", "input")})
    job = make_job(plan, recipe, UPDATES, "pipelined")
    assert (job.rate(0), job.settings["momentum"]) == (1e-4, 0.9)
    assert "scaled_from" not in job.settings


def test_a_reference_batch_size_scales_by_the_rule_of_sgdm(plan: Plan) -> None:
    """Published: CIFAR's 0.1 and 0.9 at batch size 128."""
    job = job_of(plan, "optimizer={lr: 0.1, momentum: 0.9, reference_batch_size: 128}")
    assert job.rate(0) == pytest.approx(6.428e-6, rel=3e-4)
    assert job.settings["momentum"] == pytest.approx(0.9991772, abs=5e-8)
    assert job.settings["learning_rate"] == job.rate(0)
    assert job.settings["scaled_from"] == "0.1 at batch size 128"


def test_a_reference_batch_size_scales_by_the_rule_of_adamw(plan: Plan) -> None:
    """The square-root rule; momentum, a key of SGDM, plays no part."""
    given = "name: adamw, lr: 0.016, betas: [0.9, 0.99], weight_decay: 0.1, eps: 1.0e-8"
    for momentum in (0.5, 0.9):
        job = job_of(plan, f"optimizer={{{given}, reference_batch_size: 16, momentum: {momentum}}}")
        assert job.rate(0) == pytest.approx(0.004)
        assert job.settings["beta_1"] ** 16 == pytest.approx(0.9)
        assert job.settings["beta_2"] ** 16 == pytest.approx(0.99)
        assert job.settings["eps"] == pytest.approx(4e-8)
        assert job.settings["weight_decay"] == pytest.approx(0.025)
        assert "momentum" not in job.settings


def test_the_precision_of_the_recipe_reaches_the_stages(plan: Plan) -> None:
    job = job_of(plan, "training.precision=bfloat16")
    assert job.stages.stages[0].program.outputs[0].dtype == "bfloat16"


class Droppy(nn.Module):
    """Two dropouts of what is 1 everywhere: the loss shows what they draw."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = F.dropout(x * self.weight, 0.5, training=True)
        return first, F.dropout(x, 0.5, training=True)


def drawn(plan: Plan, seed: int) -> np.ndarray:
    """(samples, dropouts, elements) of 0 and 2."""
    recipe = make_recipe({"model": "m", "input": {"shape": [16]}}, [f"seed={seed}"])
    executor = SequentialReference(make_job(plan, recipe, UPDATES, "sequential"))
    results = executor.feed([np.ones((3, 16), np.float32), np.zeros((3, 1), np.float32)])
    return np.stack([stream.values for stream in results.predictions], 1)


def test_dropouts_draw_differently_and_by_the_seed_of_the_recipe() -> None:
    def loss(prediction: tuple[Tensor, Tensor], label: Tensor) -> Tensor:
        return prediction[0].sum() * 0 + prediction[1].sum() * 0 + label.sum()

    example = (torch.ones(1, 16), torch.zeros(1, 1))
    plan = weft.compile(Droppy(), example, loss=loss, target="tiny_mesh")
    by_seed = {seed: drawn(plan, seed) for seed in (0, 1, 2, -1)}
    masks = {(row > 0).tobytes() for one in by_seed.values() for row in one.reshape(6, 16)}
    assert len(masks) == 24, "each seed, sample and dropout has a mask of its own"
    np.testing.assert_array_equal(drawn(plan, 1), by_seed[1])
    trained = replace(plan, tensors={**plan.tensors, "random.0.key": torch.tensor([0, 1])})
    np.testing.assert_array_equal(drawn(trained, 2)[:2, 0] > 0, by_seed[2][1:, 0] > 0)
