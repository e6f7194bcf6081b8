"""The network that a recipe names: its model with masks and adapters, a sample, and the loss."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from copy import deepcopy
from math import prod
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...backend.errors import UnknownNameError, UserError, WeftError
from ...backend.named_models import model_entry
from ...backend.nn.depth import find_blocks, prune_depth
from ...backend.nn.norm_swap import replace_norms
from ...backend.sparsity import configure
from ..targets.load import load_target
from .adapters import check_static, with_adapters
from .recipe import REAL_LABELS, Recipe
from .user_code import find, is_user_code, running

if TYPE_CHECKING:  # a recipe is checked without what captures and compiles
    from ..capture.sample import Loss

LOSSES: dict[str, Loss] = {
    "cross_entropy": F.cross_entropy,
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "binary_cross_entropy": F.binary_cross_entropy_with_logits,
}
"""Functions of prediction and label."""


def check_recipe(recipe: Recipe) -> None:
    """Find and build everything that a recipe names; nothing is captured.

    Raises what `compile_recipe` raises for a model, masks, loss or target that is wrong.
    """
    load_target(recipe.target.name, recipe.target.overrides)
    loss_function(recipe)
    build_model(recipe)


def build_model(recipe: Recipe) -> tuple[nn.Module, dict[str, Tensor]]:
    """The model with its start weights and adapters, and its masks by parameter name."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = recipe.upcycling.of(_without_blocks(recipe, _build(recipe)))
        masks = _masks(recipe, model)
        if recipe.sparsity is not None:
            check_static(changing(recipe, masks), recipe.adapters)
        return with_adapters(model, masks, recipe.adapters)


def _masks(recipe: Recipe, model: nn.Module) -> dict[str, Tensor]:
    if recipe.sparsity is None:
        return {}
    sparsity = configure(recipe.sparsity, recipe.seed)
    sparsity.check_first_names(model)
    return sparsity.masks(model)


def changing(recipe: Recipe, masks: dict[str, Tensor]) -> tuple[str, ...]:
    """Parameters whose masks training changes."""
    rules = configure(recipe.sparsity, recipe.seed).rules(masks)
    return tuple(name for name, rule in rules.items() if rule.is_dynamic)


def _without_blocks(recipe: Recipe, model: nn.Module) -> nn.Module:
    """The model as it was drawn, less the blocks that the recipe leaves out."""
    depth = recipe.depth
    if not depth.remove or depth.first is None:
        return model
    sample, label = example(recipe, model)
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
    if not recipe.input.shape:
        raise UserError(
            f"model {recipe.model.name}",
            expected="the shape of a sample, its channels or its length first",
            got="an empty input.shape, which is one number",
            change=f"--set input.shape={list(entry.input_shape)}",
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
            change=_change_of_options(recipe, factory),
        ) from error


def _change_of_options(recipe: Recipe, factory: Callable[..., Any]) -> str:
    """For a factory of the user's, by its signature."""
    if not is_user_code(recipe.model.name):
        return "correct model.options, normalization or input in the recipe"
    taken = inspect.signature(factory).parameters
    needed = [
        name
        for name, one in taken.items()
        if one.default is one.empty
        and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        and name not in recipe.model.options
    ]
    if needed:
        return f"give it: {' '.join(f'--set model.options.{name}=VALUE' for name in needed)}"
    known = ", ".join(taken)
    return f"correct model.options: it takes {known}" if known else "give no model.options"


def _is_inside(error: TypeError) -> bool:
    """True for an error of the factory's own code, False for one of the call."""
    return error.__traceback__ is not None and error.__traceback__.tb_next is not None


def example(recipe: Recipe, model: nn.Module) -> tuple[Tensor, Tensor]:
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


def loss_function(recipe: Recipe) -> Loss | None:
    """The loss of a recipe; None where the model returns it.

    Raises UserError for labels of a type that it does not take, and what `loss_of` raises.
    """
    if recipe.loss in REAL_LABELS and recipe.input.label_dtype != "float32":
        raise UserError(
            f"recipe: loss {recipe.loss}",
            expected="labels that are real numbers",
            got=f"input.label_dtype {recipe.input.label_dtype}",
            change="--set input.label_dtype=float32",
        )
    is_foreign = is_user_code(recipe.model.name)
    return class_loss if is_foreign and recipe.loss == "cross_entropy" else loss_of(recipe.loss)


def class_loss(prediction: Any, label: Tensor) -> Tensor:
    """Mean cross-entropy in nats; scores (1, classes) and label (1,), or a label per position:
    scores (1, ..., classes), or (1, classes, ...) as torch has them, and labels (1, ...). Where
    both fit the classes are last.

    The prediction is a tensor, a tuple that begins with it, or a mapping that has it as 'logits',
    such as the models of transformers return.
    """
    scores = prediction["logits"] if isinstance(prediction, Mapping) else prediction
    scores = scores[0] if isinstance(scores, tuple | list) else scores
    is_second = (*scores.shape[:1], *scores.shape[2:]) == label.shape != scores.shape[:-1]
    if label.ndim == 1 or is_second:
        return F.cross_entropy(scores, label)
    return F.cross_entropy(scores.flatten(0, -2), label.flatten())
