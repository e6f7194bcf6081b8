"""Update rules for delayed gradients, schedules and scaling: `weft.optim.scale_to_batch_size`."""

from __future__ import annotations

from .backend.optim import (
    AdamSetting,
    Constant,
    Cosine,
    LinearWarmup,
    MultiStep,
    Schedule,
    UpdateRule,
    build_rule,
    compensations,
    default_compensation,
    fitting_compensations,
    rules,
    scale_adamw_to_batch_size,
    scale_to_batch_size,
)

__all__ = [
    "AdamSetting",
    "Constant",
    "Cosine",
    "LinearWarmup",
    "MultiStep",
    "Schedule",
    "UpdateRule",
    "build_rule",
    "compensations",
    "default_compensation",
    "fitting_compensations",
    "rules",
    "scale_adamw_to_batch_size",
    "scale_to_batch_size",
]
