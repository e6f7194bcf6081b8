"""Matrix products: with a weight (linear layers and their backward), of two activations, or of rows
that are each routed to an expert.

Every expert has rows of PEs of its own, dealt out as to the products of a batch (see
machine/product.py), and all work at the same time. The product takes as long as that of the expert
with the most rows (`Routed`). Rows travel from where they lie, evenly over the region, to the PEs
of their expert: at worst half of the words cross its middle. They arrive while PEs compute, where
hardware starts instructions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from torch import fx

from ..machine.arrays import Floats, ceil_div
from ..machine.collectives import transfer, words
from ..machine.cost import Cost
from ..machine.product import ProductKind
from ..plan.routed import Routed
from .contraction import Contraction, ProductPart, price
from .nonzeros import WeightTiles
from .roles import Roles, dtype_of, operand, operator_of, shape_of, tensors_of
from .site import Site

OPERATORS = frozenset({"aten.mm.default", "aten.addmm.default", "aten.bmm.default"})
ROUTED, ROUTED_WEIGHT = "weft.routed_mm.default", "weft.routed_mm_weight.default"
ROUTED_OPERATORS = frozenset({ROUTED, ROUTED_WEIGHT})
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
    found = part(node, site)
    cost = price(site, found) + Cost(bias_cycles(node, site), site.zeros())
    kept = weights_of(node, site)
    if kept is None or found.product.batch == 1:
        return cost
    return replace(cost, macs_effective=kept.total * found.product.vector_positions)


def weights_of(node: fx.Node, site: Site) -> WeightTiles | None:
    """The weight that a product multiplies with or makes the gradient of, if any."""
    use = weight_use(node, site.roles)
    index = use.index if use is not None else site.roles.gradient.get(node)
    return None if index is None else site.weights.get(index)


def bias_cycles(node: fx.Node, site: Site) -> Floats:
    """A bias is one more pass over the outputs."""
    if operator_of(node) != _WITH_BIAS:
        return site.zeros()
    return site.vector_cycles(site.share(tensors_of(node)[0].numel()), dtype_of(node))


def part(node: fx.Node, site: Site) -> ProductPart:
    """The product. Of two activations the second takes the place of the weight."""
    use = weight_use(node, site.roles)
    left, right = factors(node)
    if use is not None and use.index in site.weights:
        positions = use.positions
        return ProductPart(kind_of(node, site), _with_weight(node, site, use.index, positions))
    index = site.roles.gradient.get(node)
    if index is not None and index in site.weights:
        positions = shape_of(left)[-1]
        return ProductPart(ProductKind.WEIGHT_GRADIENT, _with_weight(node, site, index, positions))
    batch, (m, k) = batch_of(node), shape_of(left)[-2:]
    operand = WeightTiles(out_features=shape_of(right)[-1], in_features=k, taps=1)
    size = tensors_of(node)[0].element_size()
    sizes = m, m, 0, dtype_of(node), size
    contraction = Contraction(operand, *sizes, True, batch, _follows(node, site))
    return ProductPart(ProductKind.FORWARD, contraction)


def _follows(node: fx.Node, site: Site) -> bool:
    """Whether a product's first operand lies as another product of the batch left it."""
    left = site.roles.left_by.get(operand(node, 0))
    return left is not None and batch_of(left) > 1


def _with_weight(node: fx.Node, site: Site, index: int, positions: int) -> Contraction:
    """Each weight of a batch has a product and rows of PEs of its own."""
    size, tiles = tensors_of(node)[0].element_size(), site.weights[index]
    batch = batch_of(node)
    tiles = tiles if batch == 1 else _of_one(tiles, 1)
    sizes = positions, positions, 0, dtype_of(node), size
    return Contraction(tiles, *sizes, batch=batch, follows=_follows(node, site))


def kind_of(node: fx.Node, site: Site) -> ProductKind:
    """Whether mm, addmm or bmm goes forward or back through a weight; two activations: forward."""
    use = weight_use(node, site.roles)
    if use is None or use.index not in site.weights:
        return ProductKind.FORWARD
    is_forward = use.contracted_axis == site.in_axis[use.index]
    return ProductKind.FORWARD if is_forward else ProductKind.INPUT_GRADIENT


def batch_of(node: fx.Node) -> int:
    """Products beside each other of mm, addmm or bmm."""
    left = shape_of(factors(node)[0])
    return left[0] if len(left) == 3 else 1


def dealt_out(node: fx.Node, site: Site) -> Routed:
    """How the node's rows are dealt out: by the shares of the site."""
    return Routed.of(experts_of(node), shape_of(operand(node, 0))[0], *_bounds(node), site.shares)


def experts_of(node: fx.Node) -> int:
    """The number of experts."""
    if operator_of(node) == ROUTED:
        return shape_of(operand(node, 1))[0]
    return cast("int", node.args[3])


def capacity_of(node: fx.Node) -> int:
    """Rows that an expert takes at most."""
    return _bounds(node)[1]


def _bounds(node: fx.Node) -> tuple[int, int]:
    top_k, capacity = node.args[-2:]
    return cast("int", top_k), cast("int", capacity)


def routed_use(node: fx.Node, roles: Roles) -> WeightUse | None:
    """Which parameter the experts' weights are, and the axis of one of them that is summed over;
    None if they are computed."""
    alias = roles.weight.get(operand(node, 1))
    if operator_of(node) != ROUTED or alias is None:
        return None
    return WeightUse(alias.index, 1 if alias.swapped else 0, capacity_of(node))


def routed_product(node: fx.Node, site: Site) -> Cost:
    """The product with every row's expert, or the gradient of the experts' weights."""
    dealt, part = dealt_out(node, site), _routed_part(node, site)
    cost = price(site, part)
    weights = part.product.weights
    macs = round(weights.dense * dealt.taken), round(weights.total * dealt.taken)
    network = cost.network + _travel(node, site, cost.compute)
    return replace(
        cost, network=network, macs_dense=macs[0], macs_effective=macs[1], routed=(dealt,)
    )


def _routed_part(node: fx.Node, site: Site) -> ProductPart:
    index, kind = site.roles.gradient.get(node), ProductKind.WEIGHT_GRADIENT
    use = routed_use(node, site.roles)
    if use is not None:
        index = use.index
        is_forward = use.contracted_axis == site.in_axis.get(index)
        kind = ProductKind.FORWARD if is_forward else ProductKind.INPUT_GRADIENT
    dealt, size = dealt_out(node, site), tensors_of(node)[0].element_size()
    if index is None or index not in site.weights:
        tiles, kind = WeightTiles(*_features(node), 1), ProductKind.FORWARD
    else:
        tiles = _of_one(site.weights[index], dealt.experts)
    rows, is_loaded = dealt.fullest, index not in site.weights
    sizes = rows, rows, 0, dtype_of(node), size, is_loaded, dealt.experts
    return ProductPart(kind, Contraction(tiles, *sizes))


def _features(node: fx.Node) -> tuple[int, int]:
    """Out and in features of a product with a weight that is computed."""
    if operator_of(node) == ROUTED:
        return shape_of(node)[1], shape_of(operand(node, 0))[1]
    return shape_of(node)[2], shape_of(node)[1]


def _of_one(tiles: WeightTiles, experts: int) -> WeightTiles:
    """The weight of one of the experts, whose in features lie one after the other, or of a batch;
    its zeros are at random."""
    density = tiles.total / tiles.dense if tiles.dense else 1.0
    return WeightTiles(tiles.out_features, tiles.in_features // experts, 1, density=density)


def _travel(node: fx.Node, site: Site, compute: Floats) -> Floats:
    """Cycles for rows to get to the PEs of their expert that arithmetic does not hide."""
    rows, tilings, noc = tensors_of(operand(node, 0))[0], site.tilings, site.target.noc
    sent = words(noc, rows.numel(), rows.element_size())
    cycles = transfer(noc, ceil_div(sent, 2 * tilings.out_split), tilings.height, 1)
    alone = np.where(tilings.in_split > 1, cycles, 0.0)
    return np.maximum(0.0, alone - compute) if site.target.software.triggered else alone
