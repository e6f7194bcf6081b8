"""What stages keep of each sample for their backward, as a choice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...capture.graph import Graph
from ..recompute import Recompute
from .off_wafer import OffWafer
from .pack_saved import Packing, PackSaved
from .reversible import Reversible


@dataclass(frozen=True)
class ActivationKeeping:
    """Whether stages do their forward again, whether those of reversible layers keep nothing, but
    for every `anchor_every`-th layer (0: none), whether what is kept is packed in 8 bits, and from
    which delay on it lies off the wafer (0: nowhere)."""

    recompute: bool = False
    reversible: bool = False
    anchor_every: int = 0
    packing: Packing | None = None
    off_wafer: int = 0

    @property
    def exact(self) -> ActivationKeeping:
        """The same with all that is kept as it was made, where it was made."""
        return replace(self, packing=None, off_wafer=0)

    def passes(self, graph: Graph) -> Iterator[Reversible | Recompute | PackSaved | OffWafer]:
        """The passes that make it so of stages that keep what they need."""
        if self.reversible:
            yield Reversible(graph.reversible, self.anchor_every)
        if self.recompute:
            yield Recompute()
        if self.packing is not None:
            yield PackSaved(self.packing)
        if self.off_wafer:
            yield OffWafer(self.off_wafer)
