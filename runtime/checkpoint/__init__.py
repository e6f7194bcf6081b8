"""Checkpoints of training runs with everything in flight."""

from __future__ import annotations

from .export import drained, export
from .file import Checkpoint, Header, named, read, write
from .lock import locked
from .score import Score
from .store import Store, digest_of, found_in, newest, newest_whole, plan_fingerprint

__all__ = [
    "Checkpoint",
    "Header",
    "Score",
    "Store",
    "digest_of",
    "drained",
    "export",
    "found_in",
    "locked",
    "named",
    "newest",
    "newest_whole",
    "plan_fingerprint",
    "read",
    "write",
]
