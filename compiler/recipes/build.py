"""From a recipe to a plan: build the model it names, its masks, and compile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ...backend.errors import UserError
from ...backend.optim import MATRIX_RULES, states_per_weight
from ..capture.capture import capture
from ..driver import PassRun, ignore
from ..fit.setting import Limits
from ..mapping.coverage import KernelCoverage, coverage
from ..pipeline import GraphCompiler, Options, compile_model
from ..plan.plan import Plan
from ..stages.cut import cut
from ..targets.load import load_target
from .network import build_model, changing, example, loss_function
from .recipe import Recipe
from .update_rule import update_rule


def compile_recipe(
    recipe: Recipe,
    on_begin: Callable[[str], None] = ignore,
    on_end: Callable[[PassRun], None] = ignore,
    witness: bool = True,
    place_seconds: float = 0.0,
) -> Plan:
    """Compile what a recipe describes. Weights and masks follow from the recipe's seed.

    For `place_seconds` a faster placement is searched for; see `Place`.

    Raises UnknownNameError for an unknown model or target, UserError for options the model does
    not take, and what `compile_model` raises.
    """
    model, masks = build_model(recipe)
    options = _options(recipe, masks)
    options = replace(
        options, on_begin=on_begin, on_end=on_end, witness=witness, place_seconds=place_seconds
    )
    target = load_target(recipe.target.name, recipe.target.overrides)
    plan = compile_model(model, example(recipe, model), loss_function(recipe), target, options)
    _check_classes(recipe, plan)
    return plan


def _check_classes(recipe: Recipe, plan: Plan) -> None:
    """Raises UserError for more classes than one label's scores: some would have none."""
    classes, stages = recipe.input.classes, plan.stages
    if classes is None or recipe.loss != "cross_entropy" or not stages.predictions:
        return
    source = stages.predictions[0]
    shape = stages.stages[source.stage].program.outputs[source.output].shape
    if len(shape) == 2 and shape[1] < classes:
        raise UserError(
            f"model {recipe.model.name}",
            expected=f"a score for each of the {classes} classes (input.classes)",
            got=f"{shape[1]} scores",
            change=f"let the model give {classes} scores, or --set input.classes={shape[1]}",
        )


def _options(recipe: Recipe, masks: dict[str, Tensor]) -> Options:
    return Options(
        masks=masks,
        dynamic=_dynamic(recipe, masks),
        optimizer_states=states_per_weight(update_rule(recipe, recipe.pipeline.mode)),
        matrix_rule=recipe.optimizer.name if recipe.optimizer.name in MATRIX_RULES else None,
        by_element=recipe.optimizer.by_element,
        granularity=recipe.pipeline.granularity,
        stages=recipe.pipeline.stages,
        recompute=recipe.pipeline.recompute,
        reversible=recipe.pipeline.reversible,
        anchor_every=recipe.pipeline.anchor_every,
        packing=recipe.pipeline.packing,
        off_wafer=recipe.pipeline.off_wafer,
        limits=Limits(
            recipe.pipeline.max_stages,
            recipe.pipeline.max_delay,
            recipe.pipeline.activation_memory,
        ),
        fit=recipe.pipeline.fit,
        loads=recipe.pipeline.loads,
        mappings=recipe.pipeline.mappings,
        pe_memory=recipe.pipeline.pe_memory,
        name=recipe.model.name,
        recipe=recipe.model_dump(mode="json"),
    )


def _dynamic(recipe: Recipe, masks: dict[str, Tensor]) -> tuple[str, ...]:
    """Parameters whose masks will change; none of a model with adapters."""
    if recipe.sparsity is None or recipe.adapters.are_given:
        return ()
    return changing(recipe, masks)


def recipe_coverage(recipe: Recipe) -> KernelCoverage:
    """Which operators of what a recipe describes have a kernel; nothing is mapped or placed."""
    model, _ = build_model(recipe)
    return coverage(cut(capture(model, example(recipe, model), loss_function(recipe))))


def graph_compiler(recipe: Recipe, dtype: torch.dtype | None = None) -> GraphCompiler:
    """What a recipe describes, captured; converted to `dtype` if given.

    Raises what `compile_recipe` raises, but for what concerns a target.
    """
    model, masks = build_model(recipe)
    sample, target = example(recipe, model)
    if dtype is not None:
        model = model.to(dtype)
        sample = sample.to(dtype) if sample.is_floating_point() else sample
    graph = capture(model, (sample, target), loss_function(recipe))
    return GraphCompiler(graph, _options(recipe, masks))
