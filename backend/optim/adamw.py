"""AdamW for delayed gradients (Loshchilov and Hutter 2019, with weight stashing or prediction)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .compensation import Compensation, Delay, DelayConstants, is_off
from .rule import Array, Settings, State, chosen
from .sums import Factors


@dataclass(frozen=True)
class AdamW:
    """m = b1*m + (1-b1)*g; v = b2*v + (1-b2)*g^2; w = w - lr*(m_hat/(sqrt(v_hat)+eps) + decay*w).

    The hats divide by 1 - b^t. Prediction repeats the rule's own latest step `delay` times.
    """

    betas: tuple[float, float]
    eps: float
    weight_decay: float
    compensation: Compensation

    @property
    def settings(self) -> Settings:
        """All that decides a step beside rate and delay."""
        return {
            "optimizer": "adamw",
            "beta_1": self.betas[0],
            "beta_2": self.betas[1],
            "eps": self.eps,
            "weight_decay": self.weight_decay,
            "compensation": self.compensation.name,
        }

    @property
    def stash(self) -> bool:
        """Whether the backward must see the very weights its forward saw."""
        return self.compensation.stash

    def constants(self, delay: Delay) -> DelayConstants:
        """All that a step depends on of a delay."""
        return self.compensation.constants(0.0, delay)

    def init(self, parameter: Array, xp: Any, by_element: bool = False) -> State:
        """Both moments zero, and the count of updates as a scalar of at least float32."""
        wide = xp.promote_types(parameter.dtype, xp.float32)
        return {
            "first": xp.zeros_like(parameter),
            "second": xp.zeros_like(parameter),
            "updates": xp.sum(xp.zeros_like(parameter, dtype=wide)),
        }

    def predict(
        self, parameter: Array, state: State, delay: Delay, lr: float | Array, xp: Any
    ) -> Array:
        """w - lr*T*direction, T the horizon in updates; w before the first update."""
        horizon = self.constants(delay).horizon
        if is_off(horizon):
            return parameter
        direction = self._direction(parameter, state, xp)
        step = lr * horizon * xp.where(state["updates"] > 0, direction, 0.0)
        return xp.asarray(parameter - step, dtype=parameter.dtype)

    def lookahead(self, state: State, delay: Delay, lr: float | Array) -> None:
        """None: the direction is no entry of the state."""

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
        first, second = self.betas
        moved = {
            "first": first * state["first"] + (1 - first) * gradient,
            "second": second * state["second"] + (1 - second) * gradient * gradient,
            "updates": state["updates"] + 1,
        }
        after = {name: chosen(applies, value, state[name], xp) for name, value in moved.items()}
        new = parameter - lr * self._direction(parameter, after, xp)
        return chosen(applies, new, parameter, xp), after

    def _direction(self, parameter: Array, state: State, xp: Any) -> Array:
        first = state["first"] / self._bias(self.betas[0], state, xp)
        second = state["second"] / self._bias(self.betas[1], state, xp)
        return first / (xp.sqrt(second) + self.eps) + self.weight_decay * parameter

    def _bias(self, beta: float, state: State, xp: Any) -> Array:
        """1 - beta^t; 1 before the first update, where the moments are zero anyway."""
        return xp.where(state["updates"] > 0, 1 - beta ** state["updates"], 1.0)
