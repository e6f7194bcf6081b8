"""Update rules for delayed gradients, learning-rate schedules, hyper-parameter scaling."""

from __future__ import annotations

from .build import build_rule, rules
from .compensation import compensations
from .guard import Guard, sum_of_squares
from .rule import Array, State, UpdateRule
from .scaling import scale_to_batch_size
from .schedules import Constant, Cosine, LinearWarmup, MultiStep, Schedule

__all__ = [
    "Array",
    "Constant",
    "Cosine",
    "Guard",
    "LinearWarmup",
    "MultiStep",
    "Schedule",
    "State",
    "UpdateRule",
    "build_rule",
    "compensations",
    "rules",
    "scale_to_batch_size",
    "sum_of_squares",
]
