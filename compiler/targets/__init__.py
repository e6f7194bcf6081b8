"""Machines as data: one YAML file per target, each constant with its source and confidence."""

from __future__ import annotations

from .arithmetic import Row, check_target
from .load import known_targets, load_target
from .target import Target

__all__ = ["Row", "Target", "check_target", "known_targets", "load_target"]
