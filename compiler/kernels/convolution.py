"""Convolutions of one to three spatial axes, strided, dilated, grouped or transposed.

The weight of a grouped convolution is (out, in / groups, taps); its in axis is what a PE holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, prod
from typing import cast

from torch import fx

from ..machine.arrays import Floats
from ..machine.cost import Cost
from ..machine.product import ProductKind
from .contraction import Contraction, ProductPart, price, price_gradients
from .nonzeros import WeightTiles
from .reduction import channel_sums
from .roles import OUTPUTS, dtype_of, operand, operator_of, shape_of, tensors_of
from .site import Site

FORWARD = "aten.convolution.default"
BACKWARD = "aten.convolution_backward.default"
_TRANSPOSED_ARGUMENT = {FORWARD: 6, BACKWARD: 7}
_STRIDE_ARGUMENT = {FORWARD: 3, BACKWARD: 4}
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


def describe(node: fx.Node, weights: WeightTiles) -> Contraction:
    """Positions, halo and dtype of a convolution node (forward or backward)."""
    is_forward = operator_of(node) == FORWARD
    image = shape_of(operand(node, 0 if is_forward else 1))
    result = shape_of(node) if is_forward else shape_of(operand(node, 0))
    return Contraction(
        weights=weights,
        in_positions=image[0] * prod(image[2:]),
        out_positions=result[0] * prod(result[2:]),
        halo=halo(node),
        dtype=dtype_of(node),
        itemsize=tensors_of(node)[0].element_size(),
    )


def halo(node: fx.Node) -> int:
    """Outputs in memory order between the first and the last that one input reaches.

    Along an axis an input is used by outputs up to (kernel - 1) x dilation / stride apart; of a
    transposed convolution, up to (kernel - 1) x dilation.
    """
    name = operator_of(node)
    kernel = shape_of(weight_operand(node))[2:]
    spatial = shape_of(node if name == FORWARD else operand(node, 0))[2:]
    strides = cast("Sequence[int]", node.args[_STRIDE_ARGUMENT[name]])
    dilations = cast("Sequence[int]", node.args[_DILATION_ARGUMENT[name]])
    steps = [1] * len(kernel) if node.args[_TRANSPOSED_ARGUMENT[name]] else strides
    reaches = zip(kernel, dilations, steps, strict=True)
    apart = [ceil((size - 1) * dilation / step) for size, dilation, step in reaches]
    return sum(reach * prod(spatial[axis + 1 :]) for axis, reach in enumerate(apart))


def parts(node: fx.Node, site: Site) -> tuple[ProductPart, ...]:
    """The products of a convolution, or of its backward as far as the output mask asks for them.

    A weight that is computed, or owned by another stage, is sent to the PEs that use it, once.
    """
    product = describe(node, _tiles(node, site))
    loaded = replace(product, loaded=weight_operand(node) not in site.roles.weight)
    if operator_of(node) == FORWARD:
        return (ProductPart(ProductKind.FORWARD, loaded),)
    wants_input, wants_weight, _ = cast("list[bool]", node.args[10])
    weight = ProductPart(ProductKind.WEIGHT_GRADIENT, product if wants_input else loaded)
    inputs = ProductPart(ProductKind.INPUT_GRADIENT, loaded)
    in_order = ((weight, wants_weight), (inputs, wants_input))
    found = tuple(part for part, is_wanted in in_order if is_wanted)
    return found[::-1] if site.in_sequence else found


def convolution(node: fx.Node, site: Site) -> Cost:
    """Forward; the bias is one more pass over the outputs."""
    return _products(node, site) + Cost(bias_cycles(node, site), site.zeros())


def convolution_backward(node: fx.Node, site: Site) -> Cost:
    """Gradients of input, weight and bias, as far as the output mask asks for them."""
    cost = _products(node, site) + Cost(bias_cycles(node, site), site.zeros())
    if not _wants_bias(node):
        return cost
    channels = dense_tiles(node).out_features
    sums = channel_sums(site, operand(node, 0), channels, 1, OUTPUTS)
    return cost + Cost(site.zeros(), sums.cycles(site.target.noc), sums=(sums,))


def _products(node: fx.Node, site: Site) -> Cost:
    found = parts(node, site)
    if len(found) == 2 and not site.in_sequence:
        return price_gradients(site, *found)
    return sum((price(site, part) for part in found), site.free())


def bias_cycles(node: fx.Node, site: Site) -> Floats:
    """One pass over the outputs, or over their gradient, if there is a bias."""
    if operator_of(node) == FORWARD:
        outputs, has_bias = node, node.args[2] is not None
    else:
        outputs, has_bias = operand(node, 0), _wants_bias(node)
    if not has_bias:
        return site.zeros()
    return site.vector_cycles(site.share(tensors_of(outputs)[0].numel()), dtype_of(node))


def _wants_bias(node: fx.Node) -> bool:
    return operator_of(node) == BACKWARD and cast("list[bool]", node.args[10])[2]
