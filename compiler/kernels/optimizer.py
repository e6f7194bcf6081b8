"""The update phase: vector passes over a PE's own weights, and a matrix rule's products.

Each weight and each of the optimizer's state tensors is read, combined with the gradient and
written back: two passes (a scaling and a multiply-add) per tensor, over the non-zeros only; no
communication. The parameters of a stage lie one after the other: a pass goes over all of a dtype.

A rule that steps parameters as matrices also multiplies them, dense, on the stage's region. Muon's
five Newton-Schulz steps on r <= c are each X X^T, its square, and their sum times X. Rotated AdamW
renews two covariances, turns gradient, momentum and step with both bases, and the bases themselves
with a QR, priced as one product more, every tenth time.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ...backend.optim.matrices import STEPS
from ..machine.arrays import Ints
from ..machine.cost import Cost
from ..machine.product import ProductKind
from ..plan.program import Stages, TensorSpec
from ..plan.training import Training, stepped_by_element
from .contraction import Contraction, ProductPart, price
from .nonzeros import WeightTiles
from .site import Site

_PASSES_PER_TENSOR = 2
_RENEWAL = 0.1

UpdateProduct = tuple[int, int, int, float]
"""(m, k, n) of a product of m x k with k x n, and how often an update does it."""


@dataclass(frozen=True)
class UpdateStep:
    """State tensors per weight, and the rule that steps matrices but for those `by_element`."""

    states: int
    rule: str | None = None
    by_element: frozenset[str] = frozenset()

    @staticmethod
    def of(training: Training, stages: Stages) -> UpdateStep:
        """That of a training run."""
        rule = training.matrix_rule
        own = stepped_by_element(stages, training.by_element) if rule else frozenset[str]()
        return UpdateStep(training.optimizer_states, rule, own)


def update(
    site: Site, weights: Ints, dtype: str, optimizer_states: int, others: Ints | None = None
) -> Cost:
    """Cost of updating `weights` stored weights per PE (one value per tiling), in the passes over
    `others` of the same dtype that lie before them: then it is what they are longer by."""
    passes = _PASSES_PER_TENSOR * (optimizer_states + 1)
    if others is None:
        return Cost(site.vector_cycles(weights, dtype, passes), site.zeros())
    both, alone = (site.vector_cycles(n, dtype, passes) for n in (others + weights, others))
    return Cost(both - alone, site.zeros())


def matrix_step(site: Site, rule: str, spec: TensorSpec) -> Cost:
    """Cost of the products of a rule for one parameter; none for what is no matrix."""
    total = Cost(site.zeros(), site.zeros())
    for m, k, n, times in matrix_products(rule, spec.shape):
        tiles = WeightTiles(out_features=n, in_features=k, taps=1)
        size = spec.torch_dtype.itemsize
        one = price(
            site,
            ProductPart(ProductKind.FORWARD, Contraction(tiles, m, m, 0, spec.dtype, size, True)),
        )
        total = total + Cost(times * one.compute, times * one.network)
    return total


def matrix_products(rule: str, shape: tuple[int, ...]) -> list[UpdateProduct]:
    """The products that a rule does with a parameter of a shape."""
    if len(shape) < 2:
        return []
    r, c = sorted((shape[0], prod(shape[1:])))
    if r < 2:
        return []
    if rule != "rotated_adamw":
        return [(r, c, r, STEPS), (r, r, r, STEPS), (r, r, c, STEPS)]
    covariances = [(r, c, r, 1.0), (c, r, c, 1.0)]
    turns = [(r, r, c, 3.0), (r, c, c, 3.0)]
    return [*covariances, *turns, (r, r, r, 2 * _RENEWAL), (c, c, c, 2 * _RENEWAL)]
