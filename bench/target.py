"""The machine of a measurement."""

from __future__ import annotations

from dataclasses import replace

from ..compiler.targets.load import load_target
from ..compiler.targets.target import Target

_LARGE = "large"


def target_of(name: str) -> Target:
    """A target by name or YAML file; 'large' is a machine no model of ours is too large for.

    That is wse3 with 256 times the PEs and the memory of each: what a model asks of the compiler
    is one question, what fits a wafer another.
    """
    return large_target() if name == _LARGE else load_target(name)


def large_target() -> Target:
    """wse3, 16 times as high, 16 times as wide, with 256 times the memory per PE."""
    target = load_target("wse3")
    grid = replace(target.grid, rows=16 * target.rows, columns=16 * target.columns)
    sram = replace(target.sram, bytes_per_pe=256 * target.sram.bytes_per_pe)
    return replace(target, name=_LARGE, grid=grid, sram=sram)
