"""Update rules for delayed gradients, learning-rate schedules, hyper-parameter scaling."""

from __future__ import annotations

from .build import (
    MATRIX_RULES,
    build_rule,
    default_compensation,
    default_momentum,
    fitting_compensations,
    rules,
)
from .compensation import compensations
from .guard import Guard
from .rule import Array, Settings, State, UpdateRule, states_per_weight
from .scaling import AdamSetting, scale_adamw_to_batch_size, scale_to_batch_size
from .schedules import Constant, Cosine, LinearWarmup, MultiStep, Schedule
from .settings_text import settings_text
from .stage_rates import StageRates
from .sums import Factors, sum_of_squares

__all__ = [
    "MATRIX_RULES",
    "AdamSetting",
    "Array",
    "Constant",
    "Cosine",
    "Factors",
    "Guard",
    "LinearWarmup",
    "MultiStep",
    "Schedule",
    "Settings",
    "StageRates",
    "State",
    "UpdateRule",
    "build_rule",
    "compensations",
    "default_compensation",
    "default_momentum",
    "fitting_compensations",
    "rules",
    "scale_adamw_to_batch_size",
    "scale_to_batch_size",
    "settings_text",
    "states_per_weight",
    "sum_of_squares",
]
