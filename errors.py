"""Exceptions that weft raises on purpose: `except weft.errors.UserError as error`.

A `UserError` says where the mistake is, what was expected, what was got and what to change.
"""

from __future__ import annotations

from .backend.errors import (
    BrokenInvariantError,
    CheckpointFileError,
    DeviceError,
    DivergedError,
    InfeasibleError,
    PlanFileError,
    UnknownNameError,
    UnsupportedError,
    UserError,
    WeftError,
    WitnessError,
)

__all__ = [
    "BrokenInvariantError",
    "CheckpointFileError",
    "DeviceError",
    "DivergedError",
    "InfeasibleError",
    "PlanFileError",
    "UnknownNameError",
    "UnsupportedError",
    "UserError",
    "WeftError",
    "WitnessError",
]
