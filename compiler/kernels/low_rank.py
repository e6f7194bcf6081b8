"""Low-rank adapters: their products share operands and sums with that of the frozen weight.

The products with W, A and B, and in the backward the gradients of A and B, are priced together (see
machine/low_rank.py) under each tiling by multicast where that takes fewer cycles than one product
after the other. The cycles of A's and B's products are then in W's, whose step names their rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import fx

from ..machine import low_rank
from ..machine.arrays import Bools, Ints, ceil_div
from ..machine.cost import Cost
from ..machine.product import Product, ProductKind, Tile, tile_of
from ..machine.tilings import MULTICAST, Tilings
from . import linear
from .contraction import Contraction, tile_nonzeros
from .nonzeros import WeightTiles
from .roles import VIEWS, Roles, calls, operand, operator_of
from .site import Site

PricedNode = tuple[fx.Node, Cost]
WITHIN, NONE = "within", "none"
"""What is sent for a product beside W's: nothing, as it is part of that; no operand."""


@dataclass(frozen=True)
class Factors:
    """Numbers of the parameters A (rank x in) and B (out x rank) beside a frozen one."""

    down: int
    up: int


def find_factors(graph: fx.Graph, roles: Roles, trainable: Sequence[bool]) -> Mapping[int, Factors]:
    """The frozen weights of a forward graph, by number, whose product is added to B (A x) of the
    same x."""
    products = dict(_with_weights(graph, roles))
    found = {}
    for up, number in products.items():
        down = _source(operand(up, _moving(up)))
        if not trainable[number] or down not in products or not trainable[products[down]]:
            continue
        x, base = _source(operand(down, _moving(down))), _added_to(up)
        if base not in products or trainable[products[base]]:
            continue
        if _source(operand(base, _moving(base))) is x:
            found[products[base]] = Factors(products[down], number)
    return found


def _with_weights(graph: fx.Graph, roles: Roles) -> Iterator[tuple[fx.Node, int]]:
    """Products of rows with a weight, and its number."""
    for node in calls(graph):
        if operator_of(node) in linear.OPERATORS:
            use = linear.weight_use(node, roles)
            if use is not None and linear.factors(node)[1] in roles.weight:
                yield node, use.index


def _moving(node: fx.Node) -> int:
    """Position of the rows that a product multiplies with a weight."""
    return 1 if operator_of(node) == "aten.addmm.default" else 0


def _source(node: fx.Node) -> fx.Node:
    """What a node is a view of."""
    while node.op == "call_function" and operator_of(node) in VIEWS:
        node = operand(node, 0)
    return node


def _added_to(node: fx.Node) -> fx.Node | None:
    """What the result of a product, through views and a scale, is added to."""
    while True:
        users = list(node.users)
        if len(users) != 1:
            return None
        before, (node,) = node, users
        if operator_of(node) == "aten.add.Tensor":
            others = [n for n in node.all_input_nodes if n is not before]
            return _source(others[0]) if len(others) == 1 else None
        is_scale = operator_of(node) == "aten.mul.Tensor" and len(node.all_input_nodes) == 1
        if not is_scale and operator_of(node) not in VIEWS:
            return None


@dataclass(frozen=True)
class _Group:
    """The operators of a weight and its factors in one direction, by the part they play."""

    base: fx.Node
    within: tuple[fx.Node, ...]
    gradients: Mapping[fx.Node, low_rank.Lines]


def joined(
    found: Sequence[PricedNode], site: Site, factors: Mapping[int, Factors]
) -> list[PricedNode]:
    """The costs of a phase's operators in order, with those of factors beside their weight's."""
    if not factors or not site.target.software.triggered or site.in_sequence:
        return list(found)
    costs = dict(found)
    known = _by_use(costs, site)
    for index, beside in factors.items():
        for kind in (ProductKind.FORWARD, ProductKind.INPUT_GRADIENT):
            group = _group(known, index, beside, kind, site.tilings)
            if group is not None and {index, beside.down, beside.up} <= site.weights.keys():
                costs |= _together(costs, group, site, index, beside, kind)
    return [(node, costs[node]) for node, _ in found]


_Uses = Mapping[tuple[int, ProductKind], list[fx.Node]]


def _by_use(nodes: Iterable[fx.Node], site: Site) -> _Uses:
    """Products by the weight that they are of, and their kind."""
    found: dict[tuple[int, ProductKind], list[fx.Node]] = {}
    for node in nodes:
        if operator_of(node) not in linear.OPERATORS:
            continue
        use = linear.weight_use(node, site.roles)
        index = site.roles.gradient.get(node) if use is None else use.index
        if index is not None:
            found.setdefault((index, linear.part(node, site).kind), []).append(node)
    return found


def _group(
    known: _Uses, index: int, beside: Factors, kind: ProductKind, tilings: Tilings
) -> _Group | None:
    """None where one of the products is missing, or a weight is used more than once."""
    gradients = {}
    if kind is ProductKind.INPUT_GRADIENT:
        ones = np.ones_like(tilings.groups)
        across = low_rank.Lines(tilings.out_split, ones)
        down = low_rank.Lines(tilings.in_split, tilings.in_spacing)
        gradients = {beside.down: across, beside.up: down}
    wanted = [(number, kind) for number in (index, beside.down, beside.up)]
    wanted += [(number, ProductKind.WEIGHT_GRADIENT) for number in gradients]
    if any(len(known.get(use, ())) != 1 for use in wanted):
        return None
    base, *others = (known[use][0] for use in wanted)
    own = dict(zip(others[2:], gradients.values(), strict=True))
    return _Group(base, tuple(others[:2]), own)


def _together(
    costs: Mapping[fx.Node, Cost],
    group: _Group,
    site: Site,
    index: int,
    beside: Factors,
    kind: ProductKind,
) -> dict[fx.Node, Cost]:
    """The costs of a group's operators, where it is faster as one product."""
    contraction, rank = (
        linear.part(group.base, site).product,
        site.weights[beside.down].out_features,
    )
    joint = _joint(site, contraction, index, beside, kind, rank)
    whole = low_rank.cost(site.target, joint)
    whole = whole + Cost(linear.bias_cycles(group.base, site), site.zeros())
    new = {group.base: whole, **dict.fromkeys(group.within, site.free())}
    for node, lines in group.gradients.items():
        own = linear.part(node, site)
        tile = _tile(site, own.product, own.product.weights, own.kind)
        new[node] = low_rank.gradient_cost(site.target, tile, rank, lines)
    cycles = [
        sum((c.compute + c.network for c in of), site.zeros())
        for of in (new.values(), (costs[node] for node in new))
    ]
    is_multicast: Bools = site.tilings.algorithm == MULTICAST
    chosen = is_multicast & joint.is_possible & (cycles[0] <= cycles[1])
    parts = {group.base: "", **dict.fromkeys(group.within, WITHIN)}
    parts |= dict.fromkeys(group.gradients, NONE)
    nonzeros = {group.base: joint.whole.nonzeros}
    return {
        node: _chosen(
            costs[node],
            cost,
            chosen,
            rank if node is group.base else 0,
            parts[node],
            nonzeros.get(node),
        )
        for node, cost in new.items()
    }


def _chosen(
    alone: Cost, joint: Cost, chosen: Bools, rank: int, part: str, nonzeros: Ints | None
) -> Cost:
    (product,) = alone.products
    compute = np.where(chosen, joint.compute, alone.compute)
    multiplied = np.where(chosen, joint.compute, product.compute)
    counted = product.nonzeros if nonzeros is None else np.where(chosen, nonzeros, product.nonzeros)
    priced = replace(
        product, nonzeros=counted, compute=multiplied, rank=rank, part=part, joint=chosen
    )
    network = np.where(chosen, joint.network, alone.network)
    behind, lead = (np.where(chosen, 0.0, own) for own in (alone.behind, alone.lead))
    return replace(
        alone, compute=compute, network=network, products=(priced,), behind=behind, lead=lead
    )


def _joint(
    site: Site,
    contraction: Contraction,
    index: int,
    beside: Factors,
    kind: ProductKind,
    rank: int,
) -> low_rank.Joint:
    weights = [site.weights[number] for number in (index, beside.down, beside.up)]
    base = weights[0]
    sizes = base.out_features + rank, base.in_features + rank, 1
    whole = _tile(site, contraction, WeightTiles(*sizes), kind, _dealt(site, weights, rank))
    down, up = (_tile(site, contraction, own, kind) for own in weights[1:])
    return low_rank.Joint(whole, down, up)


def _dealt(site: Site, weights: Sequence[WeightTiles], rank: int) -> Ints:
    """Weights of all three on the fullest PE that cost time: those of the factors lie where a dense
    base leaves room, and beside the fullest tile of a sparse one."""
    tilings, base = site.tilings, weights[0]
    alone = sum(
        (tile_nonzeros(site, tilings, own) for own in weights), np.zeros_like(tilings.groups)
    )
    if base.is_sparse and site.target.sparsity.zero_skip:
        return alone
    into = ceil_div(base.in_features + rank, tilings.in_split)
    return np.minimum(alone, into * ceil_div(base.out_features + rank, tilings.out_split))


def _tile(
    site: Site,
    contraction: Contraction,
    weights: WeightTiles,
    kind: ProductKind,
    nonzeros: Ints | None = None,
) -> Tile:
    product: Product = replace(contraction, weights=weights).product(kind)
    if nonzeros is None:
        nonzeros = tile_nonzeros(site, site.tilings, weights)
    return tile_of(site.target, site.tilings, product, nonzeros)
