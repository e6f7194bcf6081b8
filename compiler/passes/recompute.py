"""`recompute`: backwards do their forward again instead of having its activations saved."""

from __future__ import annotations

from dataclasses import dataclass

from ..plan.program import Stages
from ..stages.recompute import recompute


@dataclass(frozen=True)
class Recompute:
    """Let `chosen` stages (None: all) keep their inputs only, where that takes fewer bytes.

    before: forward(w, x) -> y, saved h             after: forward(w, x) -> y, saved x
            backward(w, h, grad)                           backward(w, x, grad): h = relu(x @ w)
    """

    chosen: frozenset[int] | None = None

    def __call__(self, stages: Stages) -> Stages:
        return recompute(stages, self.chosen)
