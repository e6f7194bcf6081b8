"""Muon and NorMuon for delayed gradients (Jordan et al. 2024; Li et al. 2025)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .adamw import AdamW
from .compensation import Compensation, Delay, DelayConstants
from .matrices import as_matrix, is_matrix, matrix_shape, orthogonalized
from .rule import Array, Settings, State, chosen, masked
from .sums import Factors

_RMS = 0.2


@dataclass(frozen=True)
class Muon:
    """v = m*v + (1-m)*g; O = orthogonalized(u); w = w - lr*(c*O + decay*w).

    c is 0.2 * sqrt(max(rows, columns)). u is v, or m*v + (1-m)*g with `nesterov`. The factor gives
    the step the size of AdamW's (Liu et al. 2025), so that one rate serves both: what is no matrix
    is updated by `other`, and so is what `init` is told to. With `row_beta` each row of O is
    divided by the root of its mean square, a moving average with that decay, and O is brought back
    to the norm that it had (NorMuon). A mask is applied after all that: what is left of the step is
    then not orthogonal.
    """

    momentum: float
    weight_decay: float
    nesterov: bool
    compensation: Compensation
    other: AdamW
    row_beta: float | None = None

    @property
    def settings(self) -> Settings:
        """All that decides a step beside rate and delay."""
        rows = {} if self.row_beta is None else {"row_beta": self.row_beta}
        others = {f"other_{n}": v for n, v in self.other.settings.items() if n != "compensation"}
        return {
            "optimizer": "muon" if self.row_beta is None else "normuon",
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "weight_decay": self.weight_decay,
            **rows,
            "compensation": self.compensation.name,
            **others,
        }

    @property
    def stash(self) -> bool:
        """Whether the backward must see the very weights its forward saw."""
        return self.compensation.stash

    def constants(self, delay: Delay) -> DelayConstants:
        """All that a step depends on of a delay."""
        return self.compensation.constants(0.0, delay)

    def init(self, parameter: Array, xp: Any, by_element: bool = False) -> State:
        """Velocity zero, and the rows' mean squares, zero; or the state of AdamW."""
        if by_element or not is_matrix(parameter):
            return self.other.init(parameter, xp)
        state = {"velocity": xp.zeros_like(parameter)}
        if self.row_beta is not None:
            state["rows"] = as_matrix(parameter, xp)[:, 0] * 0
        return state

    def predict(
        self, parameter: Array, state: State, delay: Delay, lr: float | Array, xp: Any
    ) -> Array:
        """The weights as they are."""
        return parameter

    def lookahead(self, state: State, delay: Delay, lr: float | Array) -> None:
        """None: nothing is predicted."""

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
        """One step with a gradient of weights `delay` updates old."""
        if "velocity" not in state:
            return self.other.update(parameter, gradient, state, delay, lr, xp, applies, mask)
        blend = self.momentum * state["velocity"] + (1 - self.momentum) * gradient
        velocity = chosen(applies, blend, state["velocity"], xp)
        leading = velocity
        if self.nesterov:
            leading = self.momentum * velocity + (1 - self.momentum) * gradient
        direction = orthogonalized(as_matrix(leading, xp), xp)
        after = {"velocity": velocity}
        if self.row_beta is not None:
            direction, rows = self._by_rows(direction, state["rows"], xp)
            after["rows"] = chosen(applies, rows, state["rows"], xp)
        scale = _RMS * max(matrix_shape(parameter)) ** 0.5
        step = xp.asarray(scale * direction, dtype=parameter.dtype).reshape(parameter.shape)
        new = parameter - lr * (step + self.weight_decay * parameter)
        return chosen(applies, masked(new, mask, xp), parameter, xp), after

    def _by_rows(self, direction: Array, rows: Array, xp: Any) -> tuple[Array, Array]:
        """With rows of one size and the norm that it had; and the rows' mean squares."""
        assert self.row_beta is not None
        squares = xp.sum(direction * direction, -1) / direction.shape[1]
        rows = self.row_beta * rows + (1 - self.row_beta) * squares
        divided = direction / (xp.sqrt(rows) + 1e-10)[:, None]
        before, after = (xp.sqrt(xp.sum(d * d)) for d in (direction, divided))
        return divided * (before / xp.where(after > 0, after, 1.0)), rows
