"""What every executor asks of an update rule for delayed gradients.

Rules are pure functions over arrays and are written with operators and the few functions that
torch, jax.numpy and numpy share under one name; `xp` is that namespace. The same code is the
reference and what XLA compiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from .compensation import Delay, DelayConstants
from .sums import Factors

Array = Any
"""A torch tensor, a jax array or a numpy array."""

State = dict[str, Array]
"""Optimizer state of one parameter, by name."""

PER_WEIGHT = frozenset({"velocity", "step", "first", "second"})
"""Entries of a state that hold one value for each weight, and of that weight alone."""


Settings = Mapping[str, str | float | bool]


class Lookahead(NamedTuple):
    """What is added to the weights: `factor`, a scalar, times `direction`, shaped as they are."""

    factor: Any
    direction: Array


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

    def init(self, parameter: Array, xp: Any, by_element: bool = False) -> State:
        """State before the first update.

        Rules that step a parameter as a matrix step one that is `by_element` entry by entry.
        """
        ...

    def predict(
        self, parameter: Array, state: State, delay: Delay, lr: float | Array, xp: Any
    ) -> Array:
        """The weights the forward uses."""
        ...

    def lookahead(self, state: State, delay: Delay, lr: float | Array) -> Lookahead | None:
        """What `predict` adds to the weights, where it is an entry of the state times a scalar.

        None where it adds nothing or something else.
        """
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
        mask: Array | None = None,
        factors: Factors | None = None,
    ) -> tuple[Array, State]:
        """New parameter and state, from a gradient of weights `delay` updates old.

        Where the scalar `applies` is false both stay as they are. What the `mask` prunes is zero in
        the parameter and the gradient, and stays zero. `factors` are those of the gradient, where
        the caller knows that it has some.
        """
        ...


def chosen(applies: Array | bool, new: Array, old: Array, xp: Any) -> Array:
    """`new` in the dtype of `old`, or `old` where `applies` is false.

    A rule steps the parameter with the state it has chosen. From the state before that choice a
    compiler would compute the step anew, and would copy the old state to have it for that.
    """
    new = xp.asarray(new, dtype=old.dtype)
    return new if applies is True else xp.where(applies, new, old)


def masked(array: Array, mask: Array | None, xp: Any) -> Array:
    """The array with zero where the mask prunes; itself without one."""
    return array if mask is None else xp.where(mask, array, xp.zeros_like(array))


def states_per_weight(rule: UpdateRule) -> int:
    """How many values the rule keeps beside each entry of a large square matrix."""
    matrix = np.zeros((64, 64))
    return sum(value.size for value in rule.init(matrix, np).values()) // matrix.size
