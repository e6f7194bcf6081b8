"""Checks that data match the model's inputs, before the first sample is fed where that can be."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from torch import fx

from ...backend.errors import UserError
from ...compiler.plan.program import HOST, Source, Stages, TensorSpec
from ...compiler.plan.program_graph import packet_name
from ..data import Splits

IGNORED_LABEL = -100
"""A label that torch's cross-entropy leaves out, and a score too."""


class Fit:
    """What the model's inputs have to be; raises UserError for a model whose data do not fit."""

    def __init__(self, stages: Stages, data: Splits) -> None:
        self._name, self._specs = data.name, stages.model_inputs
        self._bounds = [_bound(stages, number) for number, _ in enumerate(self._specs)]
        for part in (data.train, data.validation, data.test):
            if part is not None:
                self._check_forms([form.shape for form in part.forms])
                self.check(part.in_memory)

    def _check_forms(self, shapes: Sequence[tuple[int, ...]]) -> None:
        if len(shapes) != len(self._specs):
            given = f"{len(shapes)}: {', '.join(map(str, shapes))}"
            raise self._unfit(f"a value for each of the model's {len(self._specs)} inputs", given)
        for spec, shape in zip(self._specs, shapes, strict=True):
            check_shape(f"data set {self._name}", spec, shape)

    def check(self, arrays: Sequence[np.ndarray]) -> None:
        """Raises UserError for values that are not what integers stand for; (N, ...) each.

        Where a model takes integers, real numbers must be whole. A label must have a score.
        """
        for array, spec, bound in zip(arrays, self._specs, self._bounds, strict=False):
            if spec.torch_dtype.is_floating_point:
                continue
            _check_whole(f"data set {self._name}", array, spec)
            if bound is not None:
                self._check_range(array, *bound)

    def _check_range(self, array: np.ndarray, count: int, what: str) -> None:
        counted = array[array != IGNORED_LABEL] if what == "labels" else array
        if counted.size and (counted.min() < 0 or counted.max() >= count):
            each = "one score each in the model's prediction"
            reason = each if what == "labels" else "one row each in the embedding"
            got = f"{what} from {counted.min():g} to {counted.max():g}"
            more = f"make the model for {int(counted.max()) + 1:,}"
            change = "number them from 0" + (f", or {more}" if counted.min() >= 0 else "")
            raise self._unfit(f"{what} from 0 to {count - 1}, {reason}", got, change)

    def _unfit(
        self,
        expected: str,
        got: str,
        change: str = "give data of that form, or compile the model for these data",
    ) -> UserError:
        return UserError(f"data set {self._name}", expected=expected, got=got, change=change)


def check_shape(where: str, spec: TensorSpec, shape: tuple[int, ...]) -> None:
    """Raises UserError unless arrays of a shape can be one sample of a model's input.

    They may have axes of length 1 more or fewer, and may be flat; their axes may not be in another
    order.
    """
    expected = spec.shape[1:]
    if _squeezed(shape) == _squeezed(expected) or shape == (prod(expected),):
        return
    change = "give data of that form, or compile the model for these data"
    if len(shape) > 1 and (shape[-1], *shape[:-1]) == expected:
        axes = (0, len(shape), *range(1, len(shape)))
        change = f"these have the channels last: give x.transpose{axes}"
    raise UserError(
        where,
        expected=f"samples of shape {expected}, as the model was compiled for",
        got=f"shape {shape}",
        change=change,
    )


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _check_whole(where: str, array: np.ndarray, spec: TensorSpec) -> None:
    if array.dtype.kind != "f":
        return
    odd = array[array != np.rint(array)].reshape(-1)
    if len(odd):
        raise UserError(
            where,
            expected=f"whole numbers, which the model takes as {spec.dtype}",
            got=f"{odd[0]:g} among {array.dtype} values of shape {array.shape}",
            change="give whole numbers; for real-valued labels compile the model with a real-valued"
            " label (input.label_dtype=float32) and a loss such as mse",
        )


def _bound(stages: Stages, number: int) -> tuple[int, str] | None:
    """How many values an integer input may have, and what they are, where that is known."""
    if number == len(stages.model_inputs) - 1:
        classes = class_count(stages)
        if classes is not None:
            return classes, "labels"
    rows = _embedding_rows(stages, number)
    return None if rows is None else (rows, "tokens")


def class_count(stages: Stages) -> int | None:
    """Number of classes, where the prediction's shape and integer labels leave no doubt."""
    labels = stages.model_inputs[-1]
    if not stages.predictions or labels.torch_dtype.is_floating_point:
        return None
    source = stages.predictions[0]
    shape = stages.stages[source.stage].program.outputs[source.output].shape
    positions = labels.shape[1:]
    found = {
        shape[axis]
        for axis in (1, len(shape) - 1)
        if len(shape) > 1 and shape[1:axis] + shape[axis + 1 :] == positions
    }
    return found.pop() if len(found) == 1 else None


def _embedding_rows(stages: Stages, number: int) -> int | None:
    """Rows of the smallest embedding that looks an input's values up."""
    found: list[int] = []
    for stage in stages.stages:
        graph = stage.program.forward.graph
        places = graph.find_nodes(op="placeholder")
        first = len(stage.parameters) + len(stage.forward_state)
        for place, source in zip(places[first:], stage.inputs, strict=True):
            if source == Source(HOST, number):
                found += [rows for user in place.users for rows in _looked_up(user, place)]
    return min(found, default=None)


def _looked_up(user: fx.Node, place: fx.Node) -> list[int]:
    """Rows of the embedding that a node looks `place` up in; none if it does something else."""
    if packet_name(user) != "aten.embedding" or user.args[1] is not place:
        return []
    table = user.args[0]
    return [table.meta["val"].shape[0]] if isinstance(table, fx.Node) else []
