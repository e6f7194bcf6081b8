"""Values that depend on the step: the sparsity of a group, the share of weights it drops.

In a recipe: a number (constant), a list (cycling), or a mapping with `type` and its keys.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_DECIMALS = 12
"""Rounding of computed values, so that an error in the last bit cannot lose a weight."""


class _Schedule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def at(self, step: int, events: int) -> float:
        """The value at `step`, held within [0, 1]; `events` mask updates came before it."""
        return round(min(max(self._raw(step, events), 0.0), 1.0), _DECIMALS)

    def _raw(self, step: int, events: int) -> float:
        raise NotImplementedError


class ConstantValue(_Schedule):
    """The same value at every step."""

    type: Literal["constant"] = "constant"
    value: float = Field(ge=0, le=1)

    def _raw(self, step: int, events: int) -> float:
        return self.value


class LinearValue(_Schedule):
    """init + step * slope."""

    type: Literal["linear"]
    init: float
    slope: float

    def _raw(self, step: int, events: int) -> float:
        return self.init + step * self.slope


class CosineValue(_Schedule):
    """o + a cos(pi step / half_period) with o = (init + minimum) / 2 and a = init - o.

    It starts at `init`, is at `minimum` after `half_period` steps, and then rises again.
    """

    type: Literal["cosine"]
    init: float
    half_period: float = Field(gt=0)
    minimum: float = 0.0

    def _raw(self, step: int, events: int) -> float:
        offset = (self.init + self.minimum) / 2
        return offset + (self.init - offset) * math.cos(math.pi * step / self.half_period)


class ExponentialValue(_Schedule):
    """final + (init - final) exp(step * gamma); with gamma < 0 it approaches `final`."""

    type: Literal["exp", "exponential"]
    init: float
    gamma: float
    final: float = 1.0

    def _raw(self, step: int, events: int) -> float:
        return self.final + (self.init - self.final) * _exp(step * self.gamma)


class PowerValue(_Schedule):
    """init * beta ** step."""

    type: Literal["power"]
    init: float
    beta: float = Field(gt=0)

    def _raw(self, step: int, events: int) -> float:
        return self.init * _exp(step * math.log(self.beta))


class Cycling(_Schedule):
    """The next of `values` at every mask update, then again from the first."""

    type: Literal["cycling"]
    values: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(min_length=1)

    def _raw(self, step: int, events: int) -> float:
        return self.values[events % len(self.values)]


def _exp(exponent: float) -> float:
    """Finite for every exponent; beyond this, values are at a bound anyway."""
    return math.exp(min(exponent, 700.0))


def _spelled_out(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"type": "constant", "value": value}
    if isinstance(value, list | tuple):
        return {"type": "cycling", "values": value}
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        return value | {"type": value["type"].lower()}
    return value


ValueSchedule = Annotated[
    Annotated[
        ConstantValue | LinearValue | CosineValue | ExponentialValue | PowerValue | Cycling,
        Field(discriminator="type"),
    ],
    BeforeValidator(_spelled_out),
]
