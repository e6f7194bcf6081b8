"""Yield: which PEs of a wafer do not work, which are slow, and how rows stand in for each other.

A row with a dead core is bypassed whole: its links pass straight through, and the next working row
takes its place, so that what a program sees stays a rectangle. Spare rows beyond the grid make up
for bypassed ones; when they are used up the grid has fewer rows. All wafers of a chain are alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

Number = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Defects:
    """`dead_cores` are pairs (row, column), one after the other; `slow_cores` are triplets (row,
    column, speed in percent). A core below `least_speed_percent` counts as dead. Rows count from 0,
    the `spare_rows` after the grid's own."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    spare_rows: Number = 0
    dead_cores: tuple[Number, ...] = ()
    slow_cores: tuple[Number, ...] = ()
    least_speed_percent: Annotated[int, Field(ge=1, le=100)] = 1

    def dead(self) -> Iterator[tuple[int, int]]:
        """(row, column) of every core that is not used."""
        yield from zip(self.dead_cores[::2], self.dead_cores[1::2], strict=True)
        for row, column, percent in self._slow():
            if percent < self.least_speed_percent:
                yield row, column

    def slow(self) -> Iterator[tuple[int, int, float]]:
        """(row, column, share of full speed) of every core that is used but slow."""
        for row, column, percent in self._slow():
            if self.least_speed_percent <= percent < _FULL:
                yield row, column, percent / _FULL

    def _slow(self) -> Iterator[tuple[int, int, int]]:
        cores = self.slow_cores
        yield from zip(cores[::3], cores[1::3], cores[2::3], strict=True)

    def working_rows(self, rows: int) -> tuple[int, ...]:
        """For each row that a program sees, in order, the row of the wafer behind it."""
        bypassed = {row for row, _ in self.dead()}
        working = [row for row in range(rows + self.spare_rows) if row not in bypassed]
        return tuple(working[:rows])


_FULL = 100
