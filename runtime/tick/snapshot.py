"""Snapshots of executors: tensors by name, checked when they are put back.

Executors through XLA have these names; `reference/state.py` has those of the reference.

position                        tick, first sample fed, next sample to be fed
.model.weights['NAME'] ...      each tensor of the model by its field and name: weights,
.model.optimizer['NAME']['KEY'] optimizer, state, masks, skips, collected, steps
.buffers[KEY] ...               what is in flight, by the keys of the schedule's buffers
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from ...backend.errors import UserError
from ...compiler.plan.schedule import TickSchedule
from .train_state import Array, Pipeline, TrainedModel


def copied(value: Tensor) -> Tensor:
    """A contiguous copy on the CPU, where torch allocates, so that its alignment is torch's."""
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


class NamedTensors:
    """A snapshot from which an executor takes what it knows, until nothing is left."""

    def __init__(self, snapshot: Mapping[str, Tensor]) -> None:
        self._left = dict(snapshot)

    def take(self, name: str, like: Tensor) -> Tensor:
        """A copy of tensor `name`; raises UserError unless it has the shape and type of `like`."""
        value = self._left.pop(name, None)
        if value is None or value.shape != like.shape or value.dtype != like.dtype:
            raise _unfit(name, _form(like), "no such tensor" if value is None else _form(value))
        return copied(value)

    def take_numbers(self, name: str) -> list[int]:
        """The numbers in tensor `name`, however many; raises UserError if there is none."""
        if name not in self._left:
            raise _unfit(name, "a list of numbers", "no such tensor")
        return self._left.pop(name).tolist()

    def take_flights(self, kind: str) -> dict[tuple[int, int], dict[int, Tensor]]:
        """Copies of all tensors kind/STAGE/NUMBER/SAMPLE, by (stage, number) and sample."""
        found: dict[tuple[int, int], dict[int, Tensor]] = {}
        for name in [n for n in self._left if n.startswith(f"{kind}/")]:
            stage, number, sample = map(int, name.split("/")[1:])
            found.setdefault((stage, number), {})[sample] = copied(self._left.pop(name))
        return found

    def check_empty(self) -> None:
        """Raises UserError if something was not taken."""
        if self._left:
            raise _unfit(min(self._left), "no such tensor", f"{len(self._left)} that nobody takes")


def named_arrays(state: Pipeline, schedule: TickSchedule) -> dict[str, Array]:
    """The arrays of a state, which has a buffer for each of the schedule's, by name."""
    found: dict[str, Array] = {}
    mapped(found.setdefault, state, schedule)
    return found


def mapped(
    function: Callable[[str, Array], Array], state: Pipeline, schedule: TickSchedule
) -> Pipeline:
    """The state with `function(name, array)` in place of each array."""
    model = TrainedModel(
        *(
            _mapped(function, f".model.{f.name}", getattr(state.model, f.name))
            for f in fields(TrainedModel)
        )
    )
    names = (f".buffers[{key!r}]" for key in schedule.buffers)
    return Pipeline(model, tuple(map(function, names, state.buffers)))


def _mapped(function: Callable[[str, Array], Array], name: str, entry: Any) -> Any:
    """An entry of a model; a function within `mapped` that calls itself would outlive it."""
    if isinstance(entry, Mapping):
        return {k: _mapped(function, f"{name}[{k!r}]", value) for k, value in entry.items()}
    return function(name, entry)


def renewed(snapshot: Mapping[str, Tensor], schedule: TickSchedule) -> dict[str, Tensor]:
    """A snapshot by today's names.

    Before, buffers had numbers, and there were some for what no later tick reads.
    """
    names = {f".buffers[{n}]": f".buffers[{key!r}]" for n, key in enumerate(schedule.read)}
    unread = {f".buffers[{key!r}]" for key, age in schedule.read.items() if not age}
    named = ((names.get(name, name), value) for name, value in snapshot.items())
    return {name: value for name, value in named if name not in unread}


def _form(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"


def _unfit(name: str, expected: str, got: str) -> UserError:
    return UserError(
        f"checkpoint, tensor '{name}'",
        expected=expected,
        got=got,
        change="resume with the plan, optimizer and delay compensation the checkpoint is of",
    )
