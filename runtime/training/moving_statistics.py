"""The moving statistics of normalizations over the latest samples, and their mean."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

Statistics = Mapping[str, Tensor]


class _Point(NamedTuple):
    samples: int
    statistics: Statistics


@dataclass
class MovingStatistics:
    """Those after each chunk of the latest `span` samples, by model name.

    Single ones are means over a window themselves, of about 1 / (1 - alpha) samples, and differ
    from chunk to chunk at the same weights. Kept for this process alone: after a resume they begin
    anew.
    """

    span: int
    points: deque[_Point] = field(default_factory=deque)

    def add(self, samples: int, statistics: Statistics) -> None:
        """Those after `samples` samples; the same number again takes the place of the former."""
        if self.points and self.points[-1].samples == samples:
            self.points.pop()
        self.points.append(_Point(samples, statistics))
        while self.points[0].samples <= samples - self.span:
            self.points.popleft()

    def mean(self) -> Statistics:
        """The mean of all that are kept; added up in float64, in their own type."""
        first = self.points[-1].statistics
        return {
            name: torch.stack([p.statistics[name].double() for p in self.points]).mean(0).to(v)
            for name, v in first.items()
        }

    def some(self, count: int) -> Sequence[Statistics]:
        """At most `count` of those that are kept, evenly spread, the latest among them."""
        kept = list(self.points)
        taken = min(count, len(kept))
        return [
            kept[len(kept) - 1 - number * len(kept) // taken].statistics for number in range(taken)
        ]
