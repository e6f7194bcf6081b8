"""Where an operator runs, and what it costs there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..targets.target import Target
from .collectives import AllReduce
from .nonzeros import WeightTiles
from .roles import Roles
from .tilings import Floats, Ints, Tilings, ceil_div


@dataclass(frozen=True)
class Cost:
    """Cycles of one operator on the slowest PE, for every tiling of a site.

    `network` is the communication that arithmetic does not hide; the two add up. `sums` are those
    all-reduces that are a part of it. MACs are per sample, over all PEs.
    """

    compute: Floats
    network: Floats
    macs_dense: int = 0
    macs_effective: int = 0
    sums: tuple[AllReduce, ...] = ()

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.compute + other.compute,
            self.network + other.network,
            self.macs_dense + other.macs_dense,
            self.macs_effective + other.macs_effective,
            self.sums + other.sums,
        )


@dataclass(frozen=True)
class Site:
    """A region of a target under many tilings, with one graph of a stage's program.

    `weights` maps parameter indices to tiles, for the parameters of contractions; `in_axis` says
    which axis of such a parameter the forward pass contracts.
    """

    target: Target
    tilings: Tilings
    roles: Roles
    weights: Mapping[int, WeightTiles]
    in_axis: Mapping[int, int]

    def share(self, elements: int) -> Ints:
        """Elements per PE of a tensor that is dealt out evenly."""
        return self.tilings.share(elements)

    def pes_per_result(self, results: int) -> Ints:
        """PEs that hold parts of one result of a reduction, when what is summed lies together."""
        return np.maximum(1, ceil_div(self.tilings.height * self.tilings.width, results))

    def zeros(self) -> Floats:
        return np.zeros(len(self.tilings))

    def free(self) -> Cost:
        """No cycles. Only for operators that move no data and compute nothing."""
        return Cost(self.zeros(), self.zeros())

    def vector_cycles(self, elements: Ints, dtype: str, passes: float = 1) -> Floats:
        """`passes` vector instructions over `elements` each."""
        rate = self.target.arithmetic(dtype).sustained_elements_per_cycle
        return passes * (self.target.vector.issue_cycles + elements / rate)
