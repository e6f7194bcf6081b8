"""How the rows of a product are dealt out to experts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from ...backend.errors import UserError


@dataclass(frozen=True)
class Routed:
    """Each token sends rows to some experts, whose weights lie on PEs of their own. How many rows
    an expert gets depends on the sample: its PEs have room for `capacity`, and the product is timed
    for the expert that gets the most in the mean over samples."""

    experts: int
    """Experts, with a weight of the same size each. [count]"""
    rows: int
    """Rows of a sample, of all tokens. [count]"""
    top_k: int
    """Rows of a token: the experts that it chooses. [count]"""
    capacity: int
    """Rows that an expert takes at most; the rest pass by the residual. [count]"""
    histogram: tuple[float, ...]
    """Rows that each expert takes in the mean over samples. [count]"""

    @staticmethod
    def of(
        experts: int, rows: int, top_k: int, capacity: int, shares: Sequence[float] | None
    ) -> Routed:
        """Rows go to experts in the ratio of `shares`; None: the same to all.

        Raises UserError unless there is a share of each expert, and one above 0.
        """
        each = shares or [1.0] * experts
        if len(each) != experts or min(each) < 0 or not sum(each) > 0:
            raise UserError(
                "recorded loads of experts",
                expected=f"{experts} rows or shares, one of each expert, none negative",
                got=", ".join(f"{share:g}" for share in each),
                change="record them with weft.nn.expert_loads, or leave them out",
            )
        histogram = tuple(min(float(capacity), rows * share / sum(each)) for share in each)
        return Routed(experts, rows, top_k, capacity, histogram)

    @property
    def shares(self) -> tuple[float, ...]:
        """The shares of all rows that experts take."""
        return tuple(rows / self.rows for rows in self.histogram)

    @property
    def fullest(self) -> int:
        """Rows, whole ones, of the expert that takes the most. The others wait for it."""
        return ceil(round(max(self.histogram), 6))

    @property
    def taken(self) -> float:
        """Rows that experts take, all together."""
        return sum(self.histogram)

    @property
    def idle_share(self) -> float:
        """Of the time of a product, the share in which an expert's PEs wait, in the mean."""
        return 1 - self.taken / (self.experts * self.fullest) if self.fullest else 0.0

    @property
    def worst(self) -> int:
        """Rows of an expert that all tokens choose."""
        return min(self.capacity, self.rows // self.top_k)
