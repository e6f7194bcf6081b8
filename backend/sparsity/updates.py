"""At which steps masks are updated."""

from __future__ import annotations

from bisect import bisect_left
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


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
        inside = step >= self.start and (self.stop is None or step < self.stop)
        return inside and (step - self.start) % self.freq == 0

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
