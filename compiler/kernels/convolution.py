"""Convolutions of one to three spatial axes, strided, dilated, grouped or transposed.

The weight of a grouped convolution is (out, in / groups, taps); its in axis is what a PE holds.
"""

from __future__ import annotations

from math import prod

from torch import fx

from .collectives import all_reduce_area, transfer, words
from .contraction import Contraction, forward, input_gradient, weight_gradient
from .nonzeros import WeightTiles
from .roles import dtype_of, operand, operator_of, shape_of, tensors_of
from .site import Cost, Site
from .tilings import ceil_div

FORWARD = "aten.convolution.default"
BACKWARD = "aten.convolution_backward.default"
_TRANSPOSED_ARGUMENT = {FORWARD: 6, BACKWARD: 7}
_DILATION_ARGUMENT = {FORWARD: 5, BACKWARD: 6}


def weight_operand(node: fx.Node) -> fx.Node:
    """The weight of a convolution or of its backward."""
    return operand(node, 1 if operator_of(node) == FORWARD else 2)


def in_axis(node: fx.Node) -> int:
    """Axis of the weight that holds in features: 1, or 0 in a transposed convolution."""
    return 0 if node.args[_TRANSPOSED_ARGUMENT[operator_of(node)]] else 1


def dense_tiles(node: fx.Node) -> WeightTiles:
    """The weight of a convolution without zeros."""
    shape, axis = shape_of(weight_operand(node)), in_axis(node)
    return WeightTiles(shape[1 - axis], shape[axis], prod(shape[2:]))


def _tiles(node: fx.Node, site: Site) -> WeightTiles:
    alias = site.roles.weight.get(weight_operand(node))
    return dense_tiles(node) if alias is None else site.weights[alias.index]


def _loading(node: fx.Node, site: Site) -> Cost:
    """A weight that is computed, or owned by another stage, is sent to the PEs that use it."""
    weight = weight_operand(node)
    if weight in site.roles.weight:
        return site.free()
    tiles, noc = dense_tiles(node), site.target.noc
    features = ceil_div(tiles.in_features, site.tilings.in_split)
    row = words(
        noc, features * tiles.out_features * tiles.taps, tensors_of(weight)[0].element_size()
    )
    return Cost(site.zeros(), transfer(noc, row, site.tilings.out_split, 1))


def describe(node: fx.Node, weights: WeightTiles) -> Contraction:
    """Positions, halo and dtype of a convolution node (forward or backward)."""
    is_forward = operator_of(node) == FORWARD
    image = shape_of(operand(node, 0 if is_forward else 1))
    result = shape_of(node) if is_forward else shape_of(operand(node, 0))
    kernel = shape_of(weight_operand(node))[2:]
    return Contraction(
        weights=weights,
        in_positions=image[0] * prod(image[2:]),
        out_positions=result[0] * prod(result[2:]),
        halo=_halo(kernel, node.args[_DILATION_ARGUMENT[operator_of(node)]], image[2:]),
        dtype=dtype_of(node),
        itemsize=tensors_of(node)[0].element_size(),
    )


def _halo(kernel: tuple[int, ...], dilation, spatial: tuple[int, ...]) -> int:
    """Positions in memory order between the first and the last a kernel touches."""
    strides = [prod(spatial[axis + 1 :]) for axis in range(len(spatial))]
    reach = zip(kernel, dilation, strides, strict=True)
    return sum((size - 1) * step * stride for size, step, stride in reach)


def convolution(node: fx.Node, site: Site) -> Cost:
    """Forward; the bias is one more pass over the outputs."""
    cost = forward(site, describe(node, _tiles(node, site))) + _loading(node, site)
    if node.args[2] is None:
        return cost
    return cost + _bias(node, site)


def _bias(node: fx.Node, site: Site) -> Cost:
    outputs = site.share(tensors_of(node)[0].numel())
    return Cost(site.vector_cycles(outputs, dtype_of(node)), site.zeros())


def convolution_backward(node: fx.Node, site: Site) -> Cost:
    """Gradients of input, weight and bias, as far as the output mask asks for them."""
    weights = _tiles(node, site)
    product = describe(node, weights)
    wants_input, wants_weight, wants_bias = node.args[10]  # type: ignore[misc]
    cost = _loading(node, site)
    if wants_input:
        cost = cost + input_gradient(site, product)
    if wants_weight:
        cost = cost + weight_gradient(site, product)
    if wants_bias:
        cost = cost + _bias_gradient(node, site, weights.out_features)
    return cost


def _bias_gradient(node: fx.Node, site: Site, out_features: int) -> Cost:
    gradient = tensors_of(operand(node, 0))[0]
    cycles = site.vector_cycles(site.share(gradient.numel()), dtype_of(node))
    sums = words(site.target.noc, site.share(out_features), gradient.element_size())
    pes = site.pes_per_result(out_features)
    return Cost(cycles, all_reduce_area(site.target.noc, sums, pes, site.tilings.width))
