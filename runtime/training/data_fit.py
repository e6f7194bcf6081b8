"""Checks that data match the model's inputs, before the first sample is fed where that can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ...backend.errors import UserError
from ...compiler.plan.program import Stages, TensorSpec
from ..data import Splits
from ..data.ignored import ignored_labels
from ..data.looked_up import LookUp, look_ups


class Fit:
    """What the model's inputs have to be; raises UserError for a model whose data do not fit."""

    def __init__(self, stages: Stages, data: Splits) -> None:
        self._name, self._specs = data.name, stages.model_inputs
        self._bounds = [Bound.of(stages, number) for number, _ in enumerate(self._specs)]
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
        for array, bound in zip(arrays, self._bounds, strict=False):
            bound.check(f"data set {self._name}", array)

    def _unfit(
        self,
        expected: str,
        got: str,
        change: str = "give data of that form, or compile the model for these data",
    ) -> UserError:
        return UserError(f"data set {self._name}", expected=expected, got=got, change=change)


@dataclass(frozen=True)
class Bound:
    """What the values of a model input may be, as far as that is known: a label has one of
    `classes` scores or is among those that the loss leaves out, and what looks something up a row.
    """

    spec: TensorSpec
    is_label: bool
    classes: int | None = None
    look_ups: tuple[LookUp, ...] = ()
    ignored: tuple[int, ...] = ()

    @classmethod
    def of(cls, stages: Stages, number: int) -> Bound:
        """That of a model input by its number."""
        spec, is_label = stages.model_inputs[number], number == len(stages.model_inputs) - 1
        if spec.torch_dtype.is_floating_point:
            return cls(spec, is_label)
        classes = class_count(stages) if is_label else None
        if classes:
            return cls(spec, is_label, classes, ignored=ignored_labels(stages))
        return cls(spec, is_label, look_ups=look_ups(stages, number))

    def check(self, where: str, array: np.ndarray) -> None:
        """Raises UserError for numbers that are not whole, or out of range, in an array (N, ...)
        whose shape fits."""
        if self.spec.torch_dtype.is_floating_point or not array.size:
            return
        _check_whole(where, array, self.spec)
        if self.classes is not None:
            counted = array[~np.isin(array, self.ignored)]
            each = f"labels from 0 to {self.classes - 1}, one score each in the model's prediction"
            _check_range(where, each, range(self.classes), counted)
        flat = array.reshape(len(array), -1)
        for found in self.look_ups:
            what = "labels" if self.is_label else "tokens"
            each = f"{what} from {found.least} to {found.rows - 1}, one row each in the embedding"
            _check_range(where, each, range(found.least, found.rows), flat[:, found.elements])


def _check_range(where: str, expected: str, allowed: range, values: np.ndarray) -> None:
    if not values.size:
        return
    low, high = values.min(), values.max()
    if low >= allowed.start and high < allowed.stop:
        return
    more = f", or make the model for {int(high) + 1:,}" if low >= 0 else ""
    raise UserError(
        where,
        expected=expected,
        got=f"{expected.split()[0]} from {low:g} to {high:g}",
        change=f"number them from 0{more}",
    )


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
