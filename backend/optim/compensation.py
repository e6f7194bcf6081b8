"""Delay compensations by name (Kosson et al. 2021; Venigalla et al. 2020).

sc     spike compensation: the step is a*v + b*g with a = m^D, b = (1 - m^D)/(1 - m)
lwp    linear weight prediction by velocity: w_hat = w - lr*D*v
lwp_w  linear weight prediction by difference: w_hat = w + D*(w - w_previous)
...2d  the same with 2D in place of D
ab     adaptive braking: the gradient is scaled by 1 - rho*cos(g, v)
stash  the backward uses the weights of its forward
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from ..errors import UnknownNameError


class DelayConstants(NamedTuple):
    """What a rule computes from a delay: numbers, or arrays where one program has several delays.

    `horizon` is how many updates a prediction looks ahead; the step is a*v + b*g, and with rates by
    stage the learning rate is divided by `slowness`.
    """

    horizon: Any
    a: Any
    b: Any
    slowness: Any = 1.0


Delay = int | DelayConstants
"""In updates, or what a rule has computed from it."""


def is_off(constant: Any) -> bool:
    """Whether a constant of a delay is the number zero; one of an array is not."""
    return isinstance(constant, int | float) and constant == 0


@dataclass(frozen=True)
class Compensation:
    """`spike` and `horizon` are multiples of the delay D; 0 is off."""

    name: str = "none"
    spike: int = 0
    horizon: int = 0
    form: Literal["velocity", "weight"] = "velocity"
    braking: bool = False
    stash: bool = False

    def spike_coefficients(self, momentum: float, delay: int) -> tuple[float, float]:
        """(a, b) of the step a*v + b*g. Delay 0 gives (1, 0), SGDM; delay 1 gives Nesterov."""
        decayed = momentum ** (self.spike * delay)
        return decayed, (1 - decayed) / (1 - momentum)

    def constants(self, momentum: float, delay: Delay) -> DelayConstants:
        """Those of a delay."""
        if isinstance(delay, DelayConstants):
            return delay
        return DelayConstants(self.horizon * delay, *self.spike_coefficients(momentum, delay))


_BY_NAME = {
    found.name: found
    for found in (
        Compensation("none"),
        Compensation("stash", stash=True),
        Compensation("sc", spike=1),
        Compensation("sc2d", spike=2),
        Compensation("lwp", horizon=1),
        Compensation("lwp2d", horizon=2),
        Compensation("lwp_w", horizon=1, form="weight"),
        Compensation("lwp_w2d", horizon=2, form="weight"),
        Compensation("sc+lwp", spike=1, horizon=1),
        Compensation("sc+lwp_w", spike=1, horizon=1, form="weight"),
        Compensation("ab", braking=True),
    )
}


def compensations() -> tuple[str, ...]:
    """Names of all delay compensations."""
    return tuple(_BY_NAME)


def compensation(name: str) -> Compensation:
    """The compensation `name`; raises `UnknownNameError`."""
    if name not in _BY_NAME:
        raise UnknownNameError("delay compensation", name, _BY_NAME, "weft.optim.compensations()")
    return _BY_NAME[name]
