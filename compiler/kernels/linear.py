"""Matrix products: with a weight (linear layers and their backward), or of two activations."""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx

from ..machine.arrays import Floats
from ..machine.cost import Cost
from ..machine.product import Kind
from .contraction import Contraction, Part, price
from .nonzeros import WeightTiles
from .roles import Roles, dtype_of, operand, operator_of, shape_of, tensors_of
from .site import Site

OPERATORS = frozenset({"aten.mm.default", "aten.addmm.default", "aten.bmm.default"})
_WITH_BIAS = "aten.addmm.default"


@dataclass(frozen=True)
class WeightUse:
    """Parameter `index` takes part in a product that sums over its axis `contracted_axis`."""

    index: int
    contracted_axis: int
    positions: int


def factors(node: fx.Node) -> tuple[fx.Node, fx.Node]:
    """The two matrices of a product node."""
    first = 1 if operator_of(node) == _WITH_BIAS else 0
    return operand(node, first), operand(node, first + 1)


def weight_use(node: fx.Node, roles: Roles) -> WeightUse | None:
    """How a product (m x k) * (k x n) uses a weight; None if both factors are activations."""
    left, right = factors(node)
    m, n = shape_of(left)[-2], shape_of(right)[-1]
    if right in roles.weight:
        alias = roles.weight[right]
        return WeightUse(alias.index, 1 if alias.swapped else 0, m)
    if left in roles.weight:
        alias = roles.weight[left]
        return WeightUse(alias.index, 0 if alias.swapped else 1, n)
    return None


def product(node: fx.Node, site: Site) -> Cost:
    """Cost of mm, addmm or bmm by the role its factors play."""
    return price(site, part(node, site)) + Cost(bias_cycles(node, site), site.zeros())


def bias_cycles(node: fx.Node, site: Site) -> Floats:
    """A bias is one more pass over the outputs."""
    if operator_of(node) != _WITH_BIAS:
        return site.zeros()
    return site.vector_cycles(site.share(tensors_of(node)[0].numel()), dtype_of(node))


def part(node: fx.Node, site: Site) -> Part:
    """The product. Of two activations the second takes the place of the weight."""
    use = weight_use(node, site.roles)
    left, right = factors(node)
    if use is not None and use.index in site.weights:
        is_forward = use.contracted_axis == site.in_axis[use.index]
        kind = Kind.FORWARD if is_forward else Kind.INPUT_GRADIENT
        return Part(kind, _with_weight(node, site, use.index, use.positions))
    index = site.roles.gradient.get(node)
    if index is not None and index in site.weights:
        positions = shape_of(left)[-1]
        return Part(Kind.WEIGHT_GRADIENT, _with_weight(node, site, index, positions))
    batch = shape_of(left)[0] if len(shape_of(left)) == 3 else 1
    m, k = shape_of(left)[-2:]
    operand = WeightTiles(out_features=shape_of(right)[-1], in_features=k, taps=1)
    size = tensors_of(node)[0].element_size()
    return Part(Kind.FORWARD, Contraction(operand, m, m, 0, dtype_of(node), size, True, batch))


def _with_weight(node: fx.Node, site: Site, index: int, positions: int) -> Contraction:
    size = tensors_of(node)[0].element_size()
    return Contraction(site.weights[index], positions, positions, 0, dtype_of(node), size)
