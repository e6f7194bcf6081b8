"""Learning rates as functions of the number of updates done."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class Constant:
    """The same rate always."""

    rate: float

    def __call__(self, update: int) -> float:
        return self.rate


@dataclass(frozen=True)
class MultiStep:
    """`rate` times `factor` once for each milestone reached."""

    rate: float
    milestones: tuple[int, ...]
    factor: float = 0.1

    def __call__(self, update: int) -> float:
        return self.rate * self.factor ** sum(update >= milestone for milestone in self.milestones)


@dataclass(frozen=True)
class Cosine:
    """From `rate` to `final_rate` along half a cosine over `updates`; `final_rate` after them."""

    rate: float
    updates: int
    final_rate: float = 0.0

    def __call__(self, update: int) -> float:
        progress = min(update / self.updates, 1.0)
        return (
            self.final_rate + (self.rate - self.final_rate) * (1 + math.cos(math.pi * progress)) / 2
        )


@dataclass(frozen=True)
class LinearWarmup:
    """Rises linearly to `after(updates)` over `updates`, then follows `after`.

    The first update takes 1/updates of the rate, so that none is wasted.
    """

    updates: int
    after: Schedule

    def __call__(self, update: int) -> float:
        if update >= self.updates:
            return self.after(update)
        return self.after(self.updates) * (update + 1) / self.updates
