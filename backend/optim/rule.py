"""What every executor asks of an update rule for delayed gradients.

Rules are pure functions over arrays and are written with operators and the few functions that
torch, jax.numpy and numpy share under one name; `xp` is that namespace. The same code is the
reference and what XLA compiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from .compensation import Delay, DelayConstants

Array = Any
"""A torch tensor, a jax array or a numpy array."""

State = dict[str, Array]
"""Optimizer state of one parameter; every entry has the parameter's shape or none."""


Settings = Mapping[str, str | float | bool]


class UpdateRule(Protocol):
    """An optimizer with its delay compensation. `delay` is D_s, in updates; `lr` is per update."""

    @property
    def settings(self) -> Settings:
        """Its name, its compensation, and every constant that it trains with, by name."""
        ...

    @property
    def stash(self) -> bool:
        """Whether the backward must see the very weights its forward saw."""
        ...

    def constants(self, delay: Delay) -> DelayConstants:
        """All that `predict` and `update` depend on of a delay; they take it in its place."""
        ...

    def init(self, parameter: Array, xp: Any) -> State:
        """State before the first update."""
        ...

    def predict(
        self, parameter: Array, state: State, delay: Delay, lr: float | Array, xp: Any
    ) -> Array:
        """The weights the forward uses."""
        ...

    def update(
        self,
        parameter: Array,
        gradient: Array,
        state: State,
        delay: Delay,
        lr: float | Array,
        xp: Any,
        applies: Array | bool = True,
    ) -> tuple[Array, State]:
        """New parameter and state, from a gradient of weights `delay` updates old.

        Where the scalar `applies` is false both stay as they are.
        """
        ...


def chosen(applies: Array | bool, new: Array, old: Array, xp: Any) -> Array:
    """`new` in the dtype of `old`, or `old` where `applies` is false.

    A rule steps the parameter with the state it has chosen. From the state before that choice a
    compiler would compute the step anew, and would copy the old state to have it for that.
    """
    new = xp.asarray(new, dtype=old.dtype)
    return new if applies is True else xp.where(applies, new, old)


def states_per_weight(rule: UpdateRule) -> int:
    """How many tensors of a parameter's shape the rule keeps beside it."""
    shape = (2, 3)
    return sum(value.shape == shape for value in rule.init(np.zeros(shape), np).values())
