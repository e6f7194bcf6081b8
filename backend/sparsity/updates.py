"""At which steps masks are updated."""

from __future__ import annotations

from bisect import bisect_left
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

NEVER = 2**30
"""Steps until an update that does not come."""


class Every(BaseModel):
    """Every `freq` steps from `start`, strictly before `stop`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    freq: int = Field(default=1, ge=1)
    start: Annotated[int, BeforeValidator(lambda value: 0 if value is None else value)] = Field(
        default=0, ge=0
    )
    stop: int | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Every:
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(f"stop must come after start ({self.start}), or no mask is ever made")
        return self

    def due(self, step: int) -> bool:
        """Whether masks are updated at `step`."""
        return int(self.until(step)) == 0

    def until(self, step: Any, xp: Any = np) -> Any:
        """Steps from `step` to the next update, 0 if it is one, NEVER if none is left.

        `step` is an integer or an integer array of the namespace `xp`, numpy or jax.numpy.
        """
        ahead = xp.maximum(self.start - step, (self.start - step) % self.freq)
        return ahead if self.stop is None else xp.where(step + ahead < self.stop, ahead, NEVER)

    def before(self, step: int) -> int:
        """Number of updates at steps 0 <= s < `step`."""
        end = step if self.stop is None else min(step, self.stop)
        return max(0, -(-(end - self.start) // self.freq))


class Listed(BaseModel):
    """At the steps listed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...],
        Field(min_length=1),
    ]

    def due(self, step: int) -> bool:
        """Whether masks are updated at `step`."""
        return step in self.steps

    def until(self, step: Any, xp: Any = np) -> Any:
        """As `Every.until`."""
        ahead = xp.asarray(self.steps) - xp.asarray(step)[..., None]
        return xp.min(xp.where(ahead >= 0, ahead, NEVER), axis=-1)

    def before(self, step: int) -> int:
        """Number of updates at steps 0 <= s < `step`."""
        return bisect_left(sorted(set(self.steps)), step)


def _parsed(value: Any) -> Any:
    if value is None:
        return Every()
    if isinstance(value, dict):
        return Listed.model_validate(value) if "steps" in value else Every.model_validate(value)
    return value


Updates = Annotated[Every | Listed, BeforeValidator(_parsed)]
"""What the recipe key `update` holds: {freq, start, stop} or {steps}; absent is every step."""
