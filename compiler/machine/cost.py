"""Cycles on the slowest PE, and what they consist of."""

from __future__ import annotations

from dataclasses import dataclass

from ..plan.routed import Routed
from .arrays import Bools, Floats, Ints
from .collectives import AllReduce
from .product import Product


@dataclass(frozen=True)
class PricedProduct:
    """A product that an operator consists of, with the weights of the slowest tile that cost time
    and the cycles of its arithmetic.

    Under the tilings of `joint` low-rank factors of a frozen weight share its product: that has
    their `rank`, and `part` says what is sent for one of theirs.
    """

    product: Product
    nonzeros: Ints
    compute: Floats
    rank: int = 0
    part: str = ""
    joint: Bools | None = None

    def is_joint(self, index: int) -> bool:
        """Whether it is under a tiling."""
        return self.joint is not None and bool(self.joint[index])


@dataclass(frozen=True)
class Cost:
    """Cycles of one operator on the slowest PE, for every tiling of a site.

    `network` is the communication that arithmetic does not hide; the two add up. `behind` are
    cycles of sums that begin `lead` cycles before the operator ends and go on while those that
    follow run. It ends with an exchange of borders of `border` cycles, part of `network`.
    `products` and `sums` are what it consists of, besides passes over elements, and `routed` how
    rows of the products are dealt out to experts. MACs are those of a sample, over all PEs.
    """

    compute: Floats
    network: Floats
    macs_dense: int = 0
    macs_effective: int = 0
    products: tuple[PricedProduct, ...] = ()
    sums: tuple[AllReduce, ...] = ()
    routed: tuple[Routed, ...] = ()
    behind: Floats | float = 0.0
    lead: Floats | float = 0.0
    border: Floats | float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.compute + other.compute,
            self.network + other.network,
            self.macs_dense + other.macs_dense,
            self.macs_effective + other.macs_effective,
            self.products + other.products,
            self.sums + other.sums,
            self.routed + other.routed,
            self.behind + other.behind,
            self.lead + other.lead,
            self.border + other.border,
        )
