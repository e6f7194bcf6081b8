"""What a phase makes and uses up itself: bytes on the fullest PE while its operators run in order.

A value lives from the operator that makes it to the last one that reads it; views live in what they
are views of. Arguments and results of a graph have a place of their own (streams, FIFO, weights,
gradients, state) and do not count. An element-wise operator writes over an operand that nobody
reads any more. Each value is dealt out evenly over the region.

While a contraction runs it also holds, on every PE, one side of its product in whole and two
vectors of the other: the sums, while operands stream past them, or the operands, while sums leave
one by one (see machine/multicast.py): of those that its memory allows the larger counts, in one
turn. A product of two activations holds its second factor where a weight would lie. Where tiles
travel (rings, SUMMA) a PE also takes the next ones of the inputs and of the weights. A product with
low-rank factors in it also has a few vectors that wait for the factors' part of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from torch import Tensor, fx

from ...machine.arrays import Bools, Ints, ceil_div
from ...machine.low_rank import WAITING
from ...machine.product import Sides
from ...machine.tilings import Tilings
from .. import convolution, linear
from ..layout import StageLayout, WeightMatrix
from ..movement import ALIASES
from ..registry import KERNELS
from ..roles import Roles, calls, operand, operator_of, shape_of, tensors_of

Storage = tuple[fx.Node, int]
"""A value that has a place of its own: a node, and which of its tensors."""

_VECTORS = 2
"""One is used while the next one arrives."""


@dataclass(frozen=True)
class _Lies:
    """How a stage's values lie, under many tilings, on PEs of a memory."""

    tilings: Tilings
    layout: StageLayout
    side_bytes: int
    joint: Mapping[str, Bools]


def workspace_bytes(
    module: fx.GraphModule,
    tilings: Tilings,
    layout: StageLayout,
    roles: Roles,
    side_bytes: int,
    joint: Mapping[str, Bools],
) -> Ints:
    """The most that one phase, a graph of a stage's program, holds at any time; one side of a
    product may take `side_bytes`. Under the tilings of `joint` an operator's product has those of
    low-rank factors in it."""
    sizes = _sizes(module.graph, tilings, _held_elsewhere(module, roles))
    nothing = np.zeros(len(tilings), np.int64)
    lies = _Lies(tilings, layout, side_bytes, joint)
    live, peak, last = nothing, nothing, _last_reads(module.graph)
    read = {place for places in last.values() for place in places}
    for node in calls(module.graph):
        made = [place for place, _ in _made(node) if place in sizes]
        dying = [place for place in last.get(node, ()) if place in sizes]
        new = sum((sizes[place] for place in made), nothing)
        reused = _reused(node, [sizes[place] for place in dying], new)
        peak = np.maximum(peak, live + new - reused + _held(node, lies, roles))
        gone = (*dying, *(place for place in made if place not in read))
        live = live + new - sum((sizes[place] for place in gone), nothing)
    return peak


def _last_reads(graph: fx.Graph) -> dict[fx.Node, list[Storage]]:
    """For each node the values that nobody reads after it."""
    found: dict[fx.Node, list[Storage]] = {}
    seen: set[Storage] = set()
    for node in reversed(list(calls(graph))):
        places = dict.fromkeys(map(storage, node.all_input_nodes))
        found[node] = [place for place in places if place not in seen]
        seen.update(places)
    return found


def storage(node: fx.Node) -> Storage:
    """Where a node's value lies: views lie in what they are views of."""
    position = 0
    while node.op == "call_function":
        if operator_of(node) == "getitem":
            position = cast("int", node.args[1])
            node = operand(node, 0)
        elif operator_of(node) in ALIASES:
            node, position = operand(node, 0), 0
        else:
            break
    return node, position


def _made(node: fx.Node) -> Iterator[tuple[Storage, Tensor]]:
    """The tensors for which a node takes new memory."""
    if operator_of(node) != "getitem" and operator_of(node) not in ALIASES:
        value = node.meta.get("val")
        values = value if isinstance(value, tuple | list) else (value,)
        yield from (((node, i), item) for i, item in enumerate(values) if isinstance(item, Tensor))


def _held_elsewhere(module: fx.GraphModule, roles: Roles) -> set[Storage]:
    """Results, and parts of a weight's gradient, which are added up where it lies."""
    results = next(iter(module.graph.find_nodes(op="output"))).args[0]
    nodes = [node for node in cast("Sequence[object]", results) if isinstance(node, fx.Node)]
    return {storage(node) for node in (*nodes, *roles.gradient)}


def _sizes(graph: fx.Graph, tilings: Tilings, elsewhere: set[Storage]) -> Mapping[Storage, Ints]:
    shares: dict[int, Ints] = {}
    found: dict[Storage, Ints] = {}
    for node in calls(graph):
        for place, tensor in _made(node):
            if place not in elsewhere:
                elements = tensor.numel()
                if elements not in shares:
                    shares[elements] = tilings.share(elements)
                found[place] = shares[elements] * tensor.element_size()
    return found


def _reused(node: fx.Node, dying: Sequence[Ints], new: Ints) -> Ints | int:
    """Bytes of an element-wise result that take the place of an operand it is the last to read."""
    kernel = KERNELS.get(operator_of(node))
    if not dying or kernel is None or kernel.family != "elementwise":
        return 0
    return np.minimum(np.maximum.reduce(dying), new)


def _held(node: fx.Node, lies: _Lies, roles: Roles) -> Ints | int:
    """Bytes of the larger side of a contraction, its vectors, and a second factor in its place."""
    name = operator_of(node)
    if name in linear.OPERATORS:
        return _product_bytes(node, lies, roles)
    if name in linear.ROUTED_OPERATORS:
        return _routed_bytes(node, lies, roles)
    if name in (convolution.FORWARD, convolution.BACKWARD):
        return _convolution_bytes(node, lies, roles)
    return 0


def _product_bytes(node: fx.Node, lies: _Lies, roles: Roles) -> Ints:
    layout, tilings = lies.layout, lies.tilings
    use = linear.weight_use(node, roles)
    index = roles.gradient.get(node) if use is None else use.index
    left, right = (shape_of(factor) for factor in linear.factors(node))
    size = tensors_of(node)[0].element_size()
    if index is not None and index in layout.matrices:
        matrix = layout.matrices[index]
        positions = left[-1] if use is None else use.positions
        return _sides(lies, matrix, positions, positions, size, joint=lies.joint.get(node.name))
    batch, (m, k), n = left[0] if len(left) == 3 else 1, left[-2:], right[-1]
    factor = batch * ceil_div(k, tilings.in_split) * ceil_div(n, tilings.out_split)
    return _sides(lies, WeightMatrix(1, k, n, batch, m, m), m, m, size) + factor * size


def _routed_bytes(node: fx.Node, lies: _Lies, roles: Roles) -> Ints:
    """With room for as many rows as an expert takes at most."""
    tilings, rows = lies.tilings, linear.capacity_of(node)
    use, size = linear.routed_use(node, roles), tensors_of(node)[0].element_size()
    index = roles.gradient.get(node) if use is None else use.index
    if index is not None and index in lies.layout.matrices:
        return _sides(lies, lies.layout.matrices[index], rows, rows, size)
    left, right = (shape_of(operand(node, position))[1] for position in (0, 1))
    out = shape_of(node)[1] if operator_of(node) == linear.ROUTED else right
    into = linear.experts_of(node) * left
    factor = ceil_div(into, tilings.in_split) * ceil_div(out, tilings.out_split)
    return _sides(lies, WeightMatrix(1, into, out, 1, rows, rows), rows, rows, size) + factor * size


def _convolution_bytes(node: fx.Node, lies: _Lies, roles: Roles) -> Ints:
    tilings = lies.tilings
    tiles = convolution.dense_tiles(node)
    product = convolution.describe(node, tiles)
    ends = product.in_positions, product.out_positions
    matrix = WeightMatrix(1, tiles.in_features, tiles.out_features, tiles.taps, *ends)
    held = _sides(lies, matrix, *ends, product.itemsize, product.halo)
    if convolution.weight_operand(node) not in roles.weight:
        held = held + product.itemsize * tiles.taps * (
            ceil_div(tiles.in_features, tilings.in_split)
            * ceil_div(tiles.out_features, tilings.out_split)
        )
    return held


def _sides(
    lies: _Lies,
    matrix: WeightMatrix,
    in_positions: int,
    out_positions: int,
    size: int,
    halo: int = 0,
    joint: Bools | None = None,
) -> Ints:
    """Bytes of the larger side that a PE may hold, and of the vectors that stream past it; those of
    the outputs are `halo` longer where there are so many beyond the PE's slice. With low-rank
    factors in the product (`joint`) it also holds vectors that wait."""
    tilings = lies.tilings
    arriving = ceil_div(in_positions, tilings.space_split)
    leaving = ceil_div(out_positions, tilings.space_split)
    into = ceil_div(matrix.in_features, tilings.in_split)
    out = ceil_div(matrix.out_features, tilings.out_split)
    longest, border = np.maximum(arriving, leaving), np.minimum(halo, out_positions - leaving)
    ends = into * arriving * size, out * (leaving + border) * size
    sides = Sides.of(lies.side_bytes, *ends, longest)
    arriving, leaving = ceil_div(arriving, sides.turns), ceil_div(leaving, sides.turns) + border
    held = np.maximum(into * arriving * sides.holds_in, out * leaving * sides.holds_out)
    vectors: Ints | int = _VECTORS
    if joint is not None:
        vectors = _VECTORS + WAITING * joint
    travelling = np.where(tilings.is_square, ends[0] // size + into * out, 0)
    return (held + vectors * np.maximum(arriving, leaving) + travelling) * size
