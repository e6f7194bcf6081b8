"""What stages keep of each sample for their backward, as a choice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..capture.graph import Graph
from .recompute import Recompute
from .reversible import Reversible


@dataclass(frozen=True)
class Keeping:
    """Whether stages do their forward again, and whether those of reversible layers keep nothing,
    but for every `anchor_every`-th layer (0: none)."""

    recompute: bool = False
    reversible: bool = False
    anchor_every: int = 0

    def passes(self, graph: Graph) -> Iterator[Reversible | Recompute]:
        """The passes that make it so of stages that keep what they need."""
        if self.reversible:
            yield Reversible(graph.reversible, self.anchor_every)
        if self.recompute:
            yield Recompute()
