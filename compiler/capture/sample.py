"""What happens to one sample: the model is called on it, then the loss on the prediction."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from ...backend.errors import UserError
from .assigned import assignments_copied

Loss = Callable[[Any, Any], Tensor]
Sample = tuple[Any, ...] | Mapping[str, Any]
"""Arguments of a model: in order, or by keyword. With a loss its target is the last one, or the
one called 'target'. Dicts, lists and tuples of tensors are allowed; what is no tensor is fixed."""

TARGET = "target"
"""Name of the loss's target among example inputs by keyword."""


class OneSample(nn.Module):
    """A model with its loss as one module that returns (loss, *predictions)."""

    def __init__(self, model: nn.Module, loss: Loss | None) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, *sample: Any, **named: Any) -> tuple[Tensor, ...]:
        if torch.compiler.is_exporting():
            with assignments_copied(self):
                return self._results(sample, named)
        return self._results(sample, named)

    def _results(self, sample: Sequence[Any], named: dict[str, Any]) -> tuple[Tensor, ...]:
        if self.loss is None:
            return results_of(self.model(*sample, **named))
        target = named.pop(TARGET) if named else sample[-1]
        prediction = self.model(**named) if named else self.model(*sample[:-1])
        return (self.loss(prediction, target), *results_of(prediction))


def results_of(value: Any) -> tuple[Tensor, ...]:
    """The tensors in a model's result. Raises UserError if there is none."""
    found = tuple(_tensors(value))
    if not found:
        raise UserError(
            "the model's result",
            expected="a tensor, or a tuple, list, mapping or dataclass of tensors",
            got=type(value).__name__,
            change="return the tensors themselves, the loss first",
        )
    return found


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in a model's result; an entry 'loss' comes first.

    Goes through tuples, lists, mappings (which the outputs of transformers are), dataclasses and
    named tuples, not through other objects such as key-value caches.
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for key in sorted(value, key=lambda key: key != "loss"):
            yield from _tensors(value[key])
    elif isinstance(value, tuple) and "loss" in getattr(value, "_fields", ()):
        yield from _tensors(value._asdict())  # type: ignore[attr-defined]
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _tensors({field.name: getattr(value, field.name) for field in fields(value)})


def arguments(sample: Sample) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of `OneSample`."""
    return ((), dict(sample)) if isinstance(sample, Mapping) else (tuple(sample), {})


def apart(sample: Sample) -> Sample:
    """The same sample, a tensor given twice as two: a trace tells inputs apart by identity."""
    seen: set[int] = set()

    def own(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        is_first = id(value) not in seen
        seen.add(id(value))
        return value if is_first else value.clone()

    return tree_map(own, sample)


def check_sample(model: nn.Module, sample: Sample, loss: Loss | None) -> None:
    """Raises UserError unless every tensor has batch dimension 1, a loss is a function and has its
    target, and the model takes as many arguments as there are."""
    if not isinstance(sample, tuple | list | Mapping):
        raise UserError(
            "example inputs",
            expected="a tuple of the model's inputs and the loss's target, or a mapping by name",
            got=type(sample).__name__,
            change="pass (x, target), or (x,) if the model returns its own loss",
        )
    _check_loss(sample, loss)
    items = sample.items() if isinstance(sample, Mapping) else enumerate(sample)
    for place, value in items:
        for leaf in tree_leaves(value):
            _check_leaf(place, leaf)
    _check_arguments(model, sample, loss)


def _check_loss(sample: Sample, loss: Loss | None) -> None:
    if loss is not None and not callable(loss):
        raise UserError(
            "loss",
            expected="a function of the model's result and the target, or None if the model returns"
            " its own loss",
            got=repr(loss),
            change="pass the function, such as torch.nn.functional.cross_entropy (a recipe takes it"
            " by name)",
        )
    if loss is not None and isinstance(sample, Mapping) and TARGET not in sample:
        raise UserError(
            "example inputs",
            expected=f"the loss's target as '{TARGET}' beside the model's own arguments",
            got=", ".join(sample) or "nothing",
            change=f"add '{TARGET}', or give no loss if the model returns its own",
        )


def _check_leaf(place: object, leaf: Any) -> None:
    if isinstance(leaf, np.ndarray):
        raise UserError(
            f"example input {place}",
            expected="tensors of torch",
            got="an array of numpy",
            change="torch.from_numpy(x)",
        )
    if isinstance(leaf, Tensor) and (leaf.ndim == 0 or leaf.shape[0] != 1):
        raise UserError(
            f"example input {place}",
            expected="a single sample: a tensor whose first (batch) dimension is 1",
            got=f"shape {tuple(leaf.shape)}",
            change="pass one sample, e.g. x[:1]; weft trains at batch size 1",
        )


def _check_arguments(model: nn.Module, sample: Sample, loss: Loss | None) -> None:
    """The model takes what it is given: all but the target, if there is a loss."""
    args, named = arguments(sample)
    if loss is not None:
        args, named = args[:-1], {key: value for key, value in named.items() if key != TARGET}
    mistake = _mistake(model, args, named)
    if mistake is None:
        return
    takes_all = loss is not None and _mistake(model, *arguments(sample)) is None
    raise UserError(
        f"arguments of {type(model).__name__}",
        expected=f"forward{_signature(model)}",
        got=mistake,
        change="a loss is given, so the last of the example inputs is its target, not an argument:"
        " add the target"
        if takes_all
        else "give the example inputs in the order that forward takes them, the loss's target last",
    )


def _mistake(model: nn.Module, args: Sequence[Any], named: Mapping[str, Any]) -> str | None:
    signature = _signature(model)
    if signature is None or model._forward_pre_hooks:  # a hook may give other arguments
        return None
    try:
        signature.bind(*args, **named)
    except TypeError as error:
        return str(error)
    return None


def _signature(model: nn.Module) -> inspect.Signature | None:
    try:
        return inspect.signature(model.forward)
    except (TypeError, ValueError):
        return None
