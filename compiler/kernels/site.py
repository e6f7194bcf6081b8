"""Where an operator runs, and what it costs there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import fx

from ..machine.arrays import Floats, Ints, ceil_div
from ..machine.cost import Cost
from ..machine.instruction import pass_cycles
from ..machine.product import products_beside
from ..machine.tilings import ALL_REDUCE, Tilings
from ..targets.target import Target
from .nonzeros import WeightTiles
from .roles import Roles, shape_of, tensors_of


@dataclass(frozen=True)
class Site:
    """A region of a target under many tilings, with one graph of a stage's program.

    `weights` maps parameter indices to tiles, for the parameters of contractions; `in_axis` says
    which axis of such a parameter the forward pass contracts. `in_sequence`: a product begins when
    the sums of the one before are complete. `shares` of the rows go to each expert; None: the same
    to all.
    """

    target: Target
    tilings: Tilings
    roles: Roles
    weights: Mapping[int, WeightTiles]
    in_axis: Mapping[int, int]
    in_sequence: bool = False
    shares: tuple[float, ...] | None = None

    def share(self, elements: int) -> Ints:
        """Elements per PE of a tensor that is dealt out evenly."""
        return self.tilings.share(elements)

    def pes_per_result(self, results: int, elements: int) -> Ints:
        """PEs that hold parts of one of the `results` that so many elements are reduced to, when
        what is summed lies together."""
        own = ceil_div(elements, max(1, results))
        return np.maximum(1, ceil_div(own, np.maximum(1, self.share(elements))))

    def elements(self, node: fx.Node) -> Ints:
        """Elements per PE of a node's tensor: dealt out evenly; where all lines hold the same, what
        a batch of products left lies on the lines of each."""
        count, product = tensors_of(node)[0].numel(), self.roles.left_by.get(node)
        share, shape = self.share(count), shape_of(product) if product is not None else ()
        if len(shape) < 3 or not (self.tilings.algorithm == ALL_REDUCE).any():
            return share
        own = ceil_div(ceil_div(count, products_beside(self.tilings, shape[0])), self.tilings.width)
        return np.where(self.tilings.algorithm == ALL_REDUCE, own, share)

    @property
    def holders(self) -> Ints:
        """PEs that a tensor is dealt out over: a line, where all lines hold the same."""
        tilings = self.tilings
        line = np.minimum(tilings.height, tilings.width)
        return np.where(tilings.algorithm == ALL_REDUCE, line, tilings.height * tilings.width)

    def zeros(self) -> Floats:
        return np.zeros(len(self.tilings))

    def free(self) -> Cost:
        """No cycles. Only for operators that move no data and compute nothing."""
        return Cost(self.zeros(), self.zeros())

    def vector_cycles(self, elements: Ints, dtype: str, passes: float = 1) -> Floats:
        """`passes` vector instructions over `elements` each."""
        return pass_cycles(self.target, dtype, elements, passes)
