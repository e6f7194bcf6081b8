"""Learning rates by a stage's delay (Yang et al., PipeMare, MLSys 2021), around any update rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .compensation import Delay, DelayConstants
from .rule import Array, Lookahead, Settings, State, UpdateRule, chosen
from .sums import Factors


@dataclass(frozen=True)
class StageRates:
    """lr / (1 + D/D0)^p of a stage whose delay is D, D0 being `delay`.

    p is 1, or with `anneal` falls from 1 to 0 over so many updates and stays there.
    """

    rule: UpdateRule
    delay: float
    anneal: int | None = None

    @property
    def settings(self) -> Settings:
        """Those of the rule, and its own."""
        anneal = {} if self.anneal is None else {"stage_rate_anneal": self.anneal}
        return {**self.rule.settings, "stage_rate_delay": self.delay, **anneal}

    @property
    def stash(self) -> bool:
        """Whether the backward must see the very weights its forward saw."""
        return self.rule.stash

    def constants(self, delay: Delay) -> DelayConstants:
        """Those of the rule, with 1 + D/D0."""
        if isinstance(delay, DelayConstants):
            return delay
        return self.rule.constants(delay)._replace(slowness=1 + delay / self.delay)

    def init(self, parameter: Array, xp: Any, by_element: bool = False) -> State:
        """That of the rule; with `anneal` also a count of updates as a scalar."""
        state = self.rule.init(parameter, xp, by_element)
        if self.anneal is not None:
            wide = xp.promote_types(parameter.dtype, xp.float32)
            state["age"] = xp.sum(xp.zeros_like(parameter, dtype=wide))
        return state

    def predict(
        self, parameter: Array, state: State, delay: Delay, lr: float | Array, xp: Any
    ) -> Array:
        """As the rule does it at the stage's rate."""
        constants = self.constants(delay)
        rate = self._rate(constants, lr, state, xp)
        return self.rule.predict(parameter, state, constants, rate, xp)

    def lookahead(self, state: State, delay: Delay, lr: float | Array) -> Lookahead | None:
        """That of the rule at the stage's rate; None where the rate changes with its age."""
        if self.anneal is not None:
            return None
        constants = self.constants(delay)
        return self.rule.lookahead(state, constants, lr / constants.slowness)

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
        """One step at the stage's rate."""
        constants = self.constants(delay)
        rate = self._rate(constants, lr, state, xp)
        inner = {name: value for name, value in state.items() if name != "age"}
        new, after = self.rule.update(
            parameter, gradient, inner, constants, rate, xp, applies, mask, factors
        )
        if self.anneal is not None:
            after = {**after, "age": chosen(applies, state["age"] + 1, state["age"], xp)}
        return new, after

    def _rate(self, constants: DelayConstants, lr: float | Array, state: State, xp: Any) -> Array:
        if self.anneal is None:
            return lr / constants.slowness
        age = state["age"] / self.anneal
        power = 1 - xp.where(age < 1, age, 1.0)
        rate = lr * constants.slowness ** (-power)
        dtype = getattr(lr, "dtype", None)
        return rate if dtype is None else xp.asarray(rate, dtype=dtype)
