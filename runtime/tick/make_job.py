"""From a plan and its recipe to a training job."""

from __future__ import annotations

from ...backend.errors import UserError
from ...backend.optim import Constant, Cosine, Guard, LinearWarmup, MultiStep, Schedule, build_rule
from ...backend.optim.scaling import scale_to_batch_size
from ...backend.sparsity import MaskRule, configure
from ...compiler.plan.plan import Plan
from ...compiler.recipes.recipe import OptimizerRecipe, Recipe
from .job import Job, Mode
from .precision import in_precision


def make_job(plan: Plan, recipe: Recipe, updates: int, mode: Mode) -> Job:
    """The job of training `plan` by `recipe` for `updates` updates (samples).

    In sequential mode there is no delay and hence no delay compensation.
    Raises UserError for a plan without weights and for a rule that is not defined.
    """
    if not plan.tensors:
        raise UserError(
            f"plan of {plan.document.model}",
            expected="a plan with weights",
            got="one compiled on the meta device, without any",
            change="compile the model with real weights to train it",
        )
    lr, momentum = _scaled(recipe.optimizer)
    rule = build_rule(
        recipe.optimizer.name,
        momentum=momentum,
        weight_decay=recipe.optimizer.weight_decay,
        nesterov=recipe.optimizer.nesterov,
        compensation=recipe.pipeline.compensation if mode == "pipelined" else "none",
        betas=recipe.optimizer.betas,
        eps=recipe.optimizer.eps,
    )
    schedule = _schedule(recipe.optimizer, lr, updates)
    guard = Guard(recipe.training.clip_norm)
    stages = in_precision(plan.stages, recipe.training.precision)
    return Job(stages, plan.tensors, plan.masks, rule, schedule, guard, _mask_rules(plan, recipe))


def _mask_rules(plan: Plan, recipe: Recipe) -> dict[str, MaskRule]:
    """The rules of masks that change."""
    if recipe.sparsity is None:
        return {}
    parameters = {record.name: plan.tensors[record.name] for record in plan.document.parameters}
    rules = configure(recipe.sparsity, recipe.seed).rules(parameters)
    absent = [name for name in rules if name not in plan.masks]
    if absent:
        raise UserError(
            f"sparsity of '{absent[0]}'",
            expected="a plan with a mask for every parameter that the recipe makes sparse",
            got=f"{len(absent)} parameters without",
            change="compile the plan with this sparsity",
        )
    return {name: rule for name, rule in rules.items() if rule.is_dynamic}


def _scaled(optimizer: OptimizerRecipe) -> tuple[float, float]:
    """Learning rate and momentum at batch size 1."""
    if optimizer.reference_batch_size is None:
        return optimizer.lr, optimizer.momentum
    return scale_to_batch_size(optimizer.lr, optimizer.momentum, optimizer.reference_batch_size, 1)


def _schedule(optimizer: OptimizerRecipe, lr: float, updates: int) -> Schedule:
    recipe = optimizer.schedule
    after: Schedule = Constant(lr)
    if recipe.kind == "cosine":
        after = Cosine(lr, updates, lr * recipe.final)
    elif recipe.kind == "multistep":
        milestones = tuple(round(share * updates) for share in recipe.milestones)
        after = MultiStep(lr, milestones, recipe.factor)
    warmup = round(recipe.warmup * updates)
    return LinearWarmup(warmup, after) if warmup else after
