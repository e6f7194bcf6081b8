"""Machines as data: one YAML file per target, each constant with its source and confidence."""

from __future__ import annotations

from .arithmetic import FigureRow, check_target
from .load import known_rooflines, known_targets, load_machine, load_target
from .roofline import Roofline
from .target import Target

__all__ = [
    "FigureRow",
    "Roofline",
    "Target",
    "check_target",
    "known_rooflines",
    "known_targets",
    "load_machine",
    "load_target",
]
