"""Placement: which choice each stage takes, and where its rectangle lies."""

from __future__ import annotations

from .place import place
from .route import route

__all__ = ["place", "route"]
