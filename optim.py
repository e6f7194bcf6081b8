"""Update rules for delayed gradients, schedules and scaling: `weft.optim.scale_to_batch_size`."""

from __future__ import annotations

from .backend.optim import (
    Constant,
    Cosine,
    LinearWarmup,
    MultiStep,
    Schedule,
    UpdateRule,
    build_rule,
    compensations,
    rules,
    scale_to_batch_size,
)

__all__ = [
    "Constant",
    "Cosine",
    "LinearWarmup",
    "MultiStep",
    "Schedule",
    "UpdateRule",
    "build_rule",
    "compensations",
    "rules",
    "scale_to_batch_size",
]
