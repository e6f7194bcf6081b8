"""SGD with momentum for delayed gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .compensation import Compensation, Delay, DelayConstants, is_off
from .rule import Array, Lookahead, Settings, State, chosen
from .sums import Factors, dot, sum_of_squares, wide


@dataclass(frozen=True)
class SGDM:
    """v = m*v + g; w = w - lr*(a*v + b*g), with g = gradient + weight_decay*w and no dampening.

    (a, b) = (1, 0), or (m, 1) with `nesterov`, or those of spike compensation. Adaptive braking
    scales g, weight decay included, by 1 - rho*cos(g, v), one cosine per parameter tensor, in at
    least float32; a zero norm counts as cosine 0.
    """

    momentum: float
    weight_decay: float
    nesterov: bool
    compensation: Compensation
    braking_rho: float

    @property
    def settings(self) -> Settings:
        """All that decides a step beside rate and delay."""
        rho = {"braking_rho": self.braking_rho} if self.compensation.braking else {}
        return {
            "optimizer": "sgdm",
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "weight_decay": self.weight_decay,
            "compensation": self.compensation.name,
            **rho,
        }

    @property
    def stash(self) -> bool:
        """Whether the backward must see the very weights its forward saw."""
        return self.compensation.stash

    @property
    def _predicts_by_weight(self) -> bool:
        return self.compensation.horizon > 0 and self.compensation.form == "weight"

    @property
    def _steps_by_velocity(self) -> bool:
        """Whether the latest step of the weights is the velocity times a rate."""
        return not self.nesterov and self.compensation.spike == 0

    def constants(self, delay: Delay) -> DelayConstants:
        """All that a step depends on of a delay."""
        return self.compensation.constants(self.momentum, delay)

    def init(self, parameter: Array, xp: Any, by_element: bool = False) -> State:
        """Velocity zero; for the weight form also the latest step of the weights, zero.

        Where that is the velocity times a rate, the rate alone is kept, a scalar.
        """
        state = {"velocity": xp.zeros_like(parameter)}
        if self._predicts_by_weight and self._steps_by_velocity:
            state["rate"] = xp.sum(xp.zeros_like(parameter))
        elif self._predicts_by_weight:
            state["step"] = xp.zeros_like(parameter)
        return state

    def predict(
        self, parameter: Array, state: State, delay: Delay, lr: float | Array, xp: Any
    ) -> Array:
        """w - lr*T*v or w + T*(w - w_previous), T the horizon in updates."""
        ahead = self.lookahead(state, delay, lr)
        return parameter if ahead is None else parameter + ahead.factor * ahead.direction

    def lookahead(self, state: State, delay: Delay, lr: float | Array) -> Lookahead | None:
        """What `predict` adds; None where it adds nothing."""
        horizon = self.constants(delay).horizon
        if is_off(horizon):
            return None
        if "step" in state:
            return Lookahead(horizon, state["step"])
        rate = state["rate"] if self._predicts_by_weight else lr
        return Lookahead(-(rate * horizon), state["velocity"])

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
        if self.weight_decay:
            gradient = gradient + self.weight_decay * parameter
        if self.compensation.braking:
            gradient = self._brake(gradient, state["velocity"], xp, factors)
        moved = self.momentum * state["velocity"] + gradient
        velocity = chosen(applies, moved, state["velocity"], xp)
        step = lr * self._direction(velocity, gradient, delay)
        new = chosen(applies, parameter - step, parameter, xp)
        after = {"velocity": velocity}
        if "step" in state:
            after["step"] = chosen(applies, -step, state["step"], xp)
        if "rate" in state:
            after["rate"] = chosen(applies, lr, state["rate"], xp)
        return new, after

    def _direction(self, velocity: Array, gradient: Array, delay: Delay) -> Array:
        if self.nesterov:
            return self.momentum * velocity + gradient
        constants = self.constants(delay)
        if is_off(constants.b):
            return velocity
        return constants.a * velocity + constants.b * gradient

    def _brake(self, gradient: Array, velocity: Array, xp: Any, factors: Factors | None) -> Array:
        if factors is None or self.weight_decay:
            square, along = sum_of_squares(gradient, xp), dot(gradient, velocity, xp)
        else:
            square, along = factors.square(xp), factors.dot(velocity, xp)
        norms = xp.sqrt(square) * xp.sqrt(sum_of_squares(velocity, xp))
        cosine = xp.where(norms > 0, along / xp.where(norms > 0, norms, 1.0), 0.0)
        braked = (1 - self.braking_rho * cosine) * wide(gradient, xp)
        return xp.asarray(braked, dtype=gradient.dtype)
