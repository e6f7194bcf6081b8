"""The fixture `weft` of commands as a type, and the options of a short run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Weft = Callable[..., Any]

TRAIN = ("--executor", "reference", "--epochs", "2", "--json")
