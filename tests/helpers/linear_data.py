"""A job and data of one layer."""

from __future__ import annotations

TRAIN, TEST = 150, 40
