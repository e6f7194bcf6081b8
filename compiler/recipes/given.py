"""What a Python user may hand to `weft.compile`, made into what the compiler takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from torch import Tensor, nn

from ...backend.errors import UnknownNameError, UserError
from ..capture.sample import Loss, Sample
from ..pipeline import Options
from .network import LOSSES, class_loss


def as_module(model: object) -> nn.Module:
    """A module as it is. Raises UserError for anything else, with what to do instead."""
    if isinstance(model, nn.Module):
        return model
    got, change = f"a {type(model).__name__}", "pass the module itself"
    if isinstance(model, type):
        got, change = f"the class {model.__name__}", f"make one: {model.__name__}(...)"
    elif isinstance(model, str):
        got = f"the text {model!r}"
        change = "pass the module, or compile a recipe: weft.compile_recipe(weft.load_recipe(FILE))"
    elif callable(model):
        got = f"the function {getattr(model, '__name__', model)}"
        change = "call it if it returns the module, or put it into the forward of one"
    raise UserError("model", expected="a torch.nn.Module", got=got, change=change)


def as_sample(given: Sample | Tensor, loss: object) -> Sample:
    """The example inputs; a tensor alone is the one input of a model that returns its own loss.

    Raises UserError for a tensor alone beside a loss.
    """
    if not isinstance(given, Tensor):
        return given
    if loss is not None:
        raise UserError(
            "example inputs",
            expected="a tuple of the model's inputs and the loss's target",
            got="one tensor",
            change="pass (x, target)",
        )
    return (given,)


def as_loss(loss: Loss | str | None) -> Loss | None:
    """A function of prediction and target; raises UnknownNameError for a name that is none, and
    UserError for a class."""
    if isinstance(loss, type):
        raise UserError(
            "loss",
            expected="a function of the model's result and the target",
            got=f"the class {loss.__name__}",
            change=f"make one: {loss.__name__}()",
        )
    if not isinstance(loss, str):
        return loss
    if loss not in LOSSES:
        raise UnknownNameError("loss", loss, [*LOSSES], "help(weft.compile)")
    return class_loss if loss == "cross_entropy" else LOSSES[loss]


def as_options(options: Options | Mapping[str, Any] | None) -> Options | None:
    """Options from a mapping of their fields; raises UnknownNameError for a key that is none."""
    if options is None or isinstance(options, Options):
        return options
    if not isinstance(options, Mapping):
        raise UserError(
            "options",
            expected="weft.Options(...), or a mapping of its fields",
            got=f"a {type(options).__name__}",
            change='pass options={"granularity": "block"}, for example',
        )
    known = [field.name for field in fields(Options)]
    for key in options:
        if key not in known:
            raise UnknownNameError("option", str(key), known, "help(weft.Options)")
    return Options(**options)
