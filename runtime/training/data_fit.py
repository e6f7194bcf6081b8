"""Whether data fit a model, said before the first sample is fed."""

from __future__ import annotations

from math import prod

from ...backend.errors import UserError
from ...compiler.plan.program import Stages
from ..data import Dataset


def check_fit(stages: Stages, data: Dataset) -> None:
    """Raises UserError unless samples and labels fit the model's two inputs and its classes."""
    specs = stages.model_inputs
    if len(specs) != 2:
        raise _unfit(data, "a model of two inputs, samples and labels", f"one of {len(specs)}")
    arrays = {"inputs": (data.x_train, data.x_test), "labels": (data.y_train, data.y_test)}
    for (what, pair), spec in zip(arrays.items(), specs, strict=True):
        for array in pair:
            if prod(array.shape[1:]) != prod(spec.shape[1:]):
                expected = f"{what} of shape {spec.shape[1:]}, as the model was compiled for"
                raise _unfit(data, expected, f"shape {array.shape[1:]}")
    classes = _classes(stages)
    if classes is not None:
        lowest = min(int(labels.min()) for labels in arrays["labels"])
        highest = max(int(labels.max()) for labels in arrays["labels"])
        if lowest < 0 or highest >= classes:
            expected = f"labels from 0 to {classes - 1}, one score each in the model's prediction"
            raise _unfit(data, expected, f"labels from {lowest} to {highest}")


def _classes(stages: Stages) -> int | None:
    """Number of classes, where the prediction's shape and integer labels leave no doubt."""
    labels = stages.model_inputs[1]
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


def _unfit(data: Dataset, expected: str, got: str) -> UserError:
    return UserError(
        f"data set {data.name}",
        expected=expected,
        got=got,
        change="give data of that form, or compile the model for these data",
    )
