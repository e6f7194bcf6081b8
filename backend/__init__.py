"""The torch side: what a training program touches. Importing it registers `weft::*`."""

from __future__ import annotations

from . import ops as ops
