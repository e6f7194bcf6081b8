"""From a recipe to a plan: build the model it names, its masks, and compile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...backend.errors import UnknownNameError, UserError, WeftError
from ...backend.named_models import model_entry
from ...backend.nn.depth import find_blocks, prune_depth
from ...backend.nn.norm_swap import replace_norms
from ...backend.optim import MATRIX_RULES, states_per_weight
from ...backend.sparsity import configure
from ..capture.capture import capture
from ..capture.sample import Loss
from ..driver import PassRun, ignore
from ..fit.setting import Limits
from ..mapping.coverage import KernelCoverage, coverage
from ..pipeline import GraphCompiler, Options, compile_model
from ..plan.plan import Plan
from ..stages.cut import cut
from ..targets.load import load_target
from .adapters import check_static, with_adapters
from .recipe import Recipe
from .update_rule import update_rule
from .user_code import find, is_user_code, running

LOSSES: dict[str, Loss] = {
    "cross_entropy": F.cross_entropy,
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "binary_cross_entropy": F.binary_cross_entropy_with_logits,
}
"""Functions of prediction and label."""


def compile_recipe(
    recipe: Recipe,
    on_begin: Callable[[str], None] = ignore,
    on_end: Callable[[PassRun], None] = ignore,
    witness: bool = True,
    place_seconds: float = 0.0,
) -> Plan:
    """Compile what a recipe describes. Weights and masks follow from the recipe's seed.

    For `place_seconds` shorter wires are searched for; see `Place`.

    Raises UnknownNameError for an unknown model or target, UserError for options the model does
    not take, and what `compile_model` raises.
    """
    model, masks = build_model(recipe)
    options = _options(recipe, masks)
    options = replace(
        options, on_begin=on_begin, on_end=on_end, witness=witness, place_seconds=place_seconds
    )
    target = load_target(recipe.target.name, recipe.target.overrides)
    plan = compile_model(model, _example(recipe, model), _loss(recipe), target, options)
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


def check_recipe(recipe: Recipe) -> None:
    """Find and build everything that a recipe names; nothing is captured.

    Raises what `compile_recipe` raises for a model, masks, loss or target that is wrong.
    """
    load_target(recipe.target.name, recipe.target.overrides)
    _loss(recipe)
    build_model(recipe)


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
    return _changing(recipe, masks)


def _changing(recipe: Recipe, masks: dict[str, Tensor]) -> tuple[str, ...]:
    rules = configure(recipe.sparsity, recipe.seed).rules(masks)
    return tuple(name for name, rule in rules.items() if rule.is_dynamic)


def recipe_coverage(recipe: Recipe) -> KernelCoverage:
    """Which operators of what a recipe describes have a kernel; nothing is mapped or placed."""
    model, _ = build_model(recipe)
    return coverage(cut(capture(model, _example(recipe, model), _loss(recipe))))


def graph_compiler(recipe: Recipe, dtype: torch.dtype | None = None) -> GraphCompiler:
    """What a recipe describes, captured; converted to `dtype` if given.

    Raises what `compile_recipe` raises, but for what concerns a target.
    """
    model, masks = build_model(recipe)
    sample, target = _example(recipe, model)
    if dtype is not None:
        model = model.to(dtype)
        sample = sample.to(dtype) if sample.is_floating_point() else sample
    graph = capture(model, (sample, target), _loss(recipe))
    return GraphCompiler(graph, _options(recipe, masks))


def build_model(recipe: Recipe) -> tuple[nn.Module, dict[str, Tensor]]:
    """The model with its start weights and adapters, and its masks by parameter name."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = recipe.upcycling.of(_without_blocks(recipe, _build(recipe)))
        masks = _masks(recipe, model)
        if recipe.sparsity is not None:
            check_static(_changing(recipe, masks), recipe.adapters)
        return with_adapters(model, masks, recipe.adapters)


def _masks(recipe: Recipe, model: nn.Module) -> dict[str, Tensor]:
    if recipe.sparsity is None:
        return {}
    sparsity = configure(recipe.sparsity, recipe.seed)
    sparsity.check_first_names(model)
    return sparsity.masks(model)


def _without_blocks(recipe: Recipe, model: nn.Module) -> nn.Module:
    """The model as it was drawn, less the blocks that the recipe leaves out."""
    depth = recipe.depth
    if not depth.remove or depth.first is None:
        return model
    sample, label = _example(recipe, model)
    given = (sample, label) if recipe.loss == "model" else (sample,)
    blocks = find_blocks(model, lambda whole: whole(*given), depth.blocks)
    return prune_depth(model, blocks, depth.first, depth.remove)


def _build(recipe: Recipe) -> nn.Module:
    if is_user_code(recipe.model.name):
        return _foreign(recipe)
    entry, norm = model_entry(recipe.model.name), recipe.normalization
    if recipe.input.classes is None:
        raise UserError(
            f"model {recipe.model.name}",
            expected="the number of classes",
            got="no input.classes",
            change="give input.classes in the recipe, or --set input.classes=10",
        )
    arguments: dict[str, Any] = {
        "in_channels": recipe.input.shape[0],
        "classes": recipe.input.classes,
        "normalization": norm.kind,
        **norm.options(),
        **recipe.model.options,
    }
    return _call(recipe, entry.factory, arguments)


def _foreign(recipe: Recipe) -> nn.Module:
    """What a factory of the user's returns, or a module itself; its norms are swapped only if the
    recipe asks for a kind."""
    name = recipe.model.name
    made = find(name, "model")
    if isinstance(made, nn.Module):
        made = deepcopy(made)  # its norms and layers may be swapped
    else:
        with running(f"model {name}", "correct that line, or model.options in the recipe"):
            made = _call(recipe, made, recipe.model.options)
    if not isinstance(made, nn.Module):
        raise UserError(
            f"model {name}",
            expected="a factory that returns a torch.nn.Module, or the module",
            got=type(made).__name__,
            change="return the module",
        )
    if "normalization" in recipe.model_fields_set:
        replace_norms(made, recipe.normalization.kind, **recipe.normalization.options())
    return made


def _call(recipe: Recipe, factory: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Raises UserError for arguments that the factory does not take, or that no model of weft's
    can have; errors of a user's own factory pass."""
    try:
        return factory(**arguments)
    except WeftError:
        raise
    except Exception as error:
        is_of_call = isinstance(error, TypeError) and not _is_inside(error)
        if is_user_code(recipe.model.name) and not is_of_call:
            raise
        raise UserError(
            f"model {recipe.model.name}",
            expected="options that its factory takes",
            got=str(error),
            change="correct model.options, normalization or input in the recipe",
        ) from error


def _is_inside(error: TypeError) -> bool:
    """True for an error of the factory's own code, False for one of the call."""
    return error.__traceback__ is not None and error.__traceback__.tb_next is not None


def _example(recipe: Recipe, model: nn.Module) -> tuple[Tensor, Tensor]:
    """A sample and its label of zeros, on the device of the model."""
    device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    dtype, label = (getattr(torch, name) for name in (recipe.input.dtype, recipe.input.label_dtype))
    return (
        _zeros("input.shape", recipe.input.shape, dtype, device),
        _zeros("input.label_shape", recipe.input.label_shape, label, device),
    )


def _zeros(key: str, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """One sample of a shape. Raises UserError for one that does not fit this machine."""
    try:
        return torch.zeros(1, *shape, dtype=dtype, device=device)
    except (RuntimeError, MemoryError) as error:
        raise UserError(
            f"recipe: {key}",
            expected="a shape of which one sample fits this machine's memory",
            got=f"{list(shape)}, {prod(shape) * dtype.itemsize / 1e9:,.0f} GB",
            change=f"correct {key}",
        ) from error


def loss_of(name: str) -> Loss | None:
    """The function that a recipe's loss names; None where the model returns it.

    Raises UnknownNameError, and UserError for a file or a module that does not load.
    """
    if name == "model":
        return None
    if is_user_code(name):
        return find(name, "loss")
    if name not in LOSSES:
        known = (*LOSSES, "model", "FILE.py:function", "package.module:function")
        raise UnknownNameError("loss", name, known, "weft compile --help")
    return LOSSES[name]


def _loss(recipe: Recipe) -> Loss | None:
    is_foreign = is_user_code(recipe.model.name)
    return class_loss if is_foreign and recipe.loss == "cross_entropy" else loss_of(recipe.loss)


def class_loss(prediction: Any, label: Tensor) -> Tensor:
    """Mean cross-entropy in nats; scores (1, classes) and label (1,), or a label per position:
    scores (1, ..., classes) and labels (1, ...).

    The prediction is a tensor, a tuple that begins with it, or a mapping that has it as 'logits',
    such as the models of transformers return.
    """
    scores = prediction["logits"] if isinstance(prediction, Mapping) else prediction
    scores = scores[0] if isinstance(scores, tuple | list) else scores
    if label.ndim == 1:
        return F.cross_entropy(scores, label)
    return F.cross_entropy(scores.flatten(0, -2), label.flatten())
