"""How a stage program's parameters lie on a region: which are matrices, which are vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import fx

from ..plan.program import StageProgram
from . import convolution, embedding, linear, low_rank
from .nonzeros import WeightTiles, count_mask
from .roles import Roles, calls, find_roles, operand, operator_of, shape_of, tensors_of


@dataclass(frozen=True)
class WeightMatrix:
    """A parameter that a contraction multiplies with: (out, in, taps) features, and positions.

    A batch of matrices is one whose taps they are; of `experts` the in features lie one after the
    other, and each has rows of PEs of its own.
    """

    in_axis: int
    in_features: int
    out_features: int
    taps: int
    in_positions: int
    out_positions: int
    is_batch: bool = False
    experts: int = 0

    def arranged(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A mask with its two axes of features first."""
        if self.experts and self.in_axis == 1:
            return np.moveaxis(mask, 0, 1).reshape(self.out_features, self.in_features)
        if self.experts:
            return mask.reshape(self.in_features, self.out_features)
        return np.moveaxis(mask, 0, -1) if self.is_batch else mask

    @property
    def tiles(self) -> WeightTiles:
        """The weight without zeros."""
        return WeightTiles(self.out_features, self.in_features, self.taps)

    def tiles_of(self, mask: NDArray[np.bool_] | None) -> WeightTiles:
        """The weight with the zeros of a mask."""
        if mask is None:
            return self.tiles
        counts = count_mask(self.arranged(mask), self.in_axis)
        return WeightTiles(self.out_features, self.in_features, self.taps, counts=counts)


@dataclass(frozen=True)
class StageLayout:
    """Everything about a stage program that its costs need and no mask or target changes.

    `matrices` and `biases` (vectors over out features) are keyed by parameter index; `operands`
    are products of two activations as (batch, m, k, n). In, positions and out bound the splits.
    `lent` parameters lie there, but another stage holds them and updates them. `factors` are those
    of adapters beside a frozen matrix.
    """

    forward: Roles
    backward: Roles
    matrices: Mapping[int, WeightMatrix]
    biases: frozenset[int]
    operands: tuple[tuple[int, int, int, int], ...]
    in_features: int
    positions: int
    out_features: int
    lent: frozenset[int] = frozenset()
    factors: Mapping[int, low_rank.Factors] = field(default_factory=dict)

    @property
    def experts(self) -> int:
        """Experts that rows of PEs are dealt out to; 0: the stage has none."""
        return max((matrix.experts for matrix in self.matrices.values()), default=0)

    @property
    def is_linear(self) -> bool:
        """Whether all its products multiply positions with matrices that lie there."""
        own = self.matrices.values()
        plain = all(m.taps == 1 and m.in_positions == m.out_positions for m in own)
        return len(own) > 0 and plain and not self.operands and not self.experts


def find_layout(program: StageProgram) -> StageLayout:
    """Read the layout off the program's graphs."""
    forward = find_roles(program.forward, program.trainable, is_backward=False)
    backward = find_roles(program.backward, program.trainable, is_backward=True)
    matrices = dict(_matrices(program.forward, forward))
    operands = tuple(_operands(program.forward, forward, matrices))
    biases = frozenset(_biases(program.forward, forward))
    sizes = [(m.in_features, m.out_positions, m.out_features) for m in matrices.values()]
    sizes += [(k, m, n) for _, m, k, n in operands]
    if not sizes:
        elements = _largest_tensor(program)
        sizes = [(elements, 1, elements)]
    bounds = (max(axis) for axis in zip(*sizes, strict=True))
    factors = low_rank.find_factors(program.forward.graph, forward, program.trainable)
    return StageLayout(forward, backward, matrices, biases, operands, *bounds, factors=factors)


def _largest_tensor(program: StageProgram) -> int:
    specs = (*program.inputs, *program.outputs, *program.parameters)
    return max((spec.elements for spec in specs), default=1)


def _matrices(module: fx.GraphModule, roles: Roles) -> Iterator[tuple[int, WeightMatrix]]:
    for node in calls(module.graph):
        name = operator_of(node)
        if name == convolution.FORWARD and convolution.weight_operand(node) in roles.weight:
            yield _convolution_matrix(node, roles)
        elif name == embedding.FORWARD and operand(node, 0) in roles.weight:
            yield _embedding_matrix(node, roles)
        elif name in linear.OPERATORS:
            use = linear.weight_use(node, roles)
            if use is not None:
                yield use.index, _linear_matrix(node, use)
        elif name == linear.ROUTED:
            use = linear.routed_use(node, roles)
            if use is not None:
                yield use.index, _routed_matrix(node, use)


def _routed_matrix(node: fx.Node, use: linear.WeightUse) -> WeightMatrix:
    experts, into, out = shape_of(operand(node, 1))
    sizes = experts * into, out, 1, use.positions, use.positions
    return WeightMatrix(use.contracted_axis, *sizes, is_batch=True, experts=experts)


def _convolution_matrix(node: fx.Node, roles: Roles) -> tuple[int, WeightMatrix]:
    weight = convolution.weight_operand(node)
    tiles, axis = convolution.dense_tiles(node), convolution.in_axis(node)
    product = convolution.describe(node, tiles)
    positions = product.in_positions, product.out_positions
    matrix = WeightMatrix(axis, tiles.in_features, tiles.out_features, tiles.taps, *positions)
    return roles.weight[weight].index, matrix


def _embedding_matrix(node: fx.Node, roles: Roles) -> tuple[int, WeightMatrix]:
    """A table has no input positions: a token picks one row, and its gradient goes to one row."""
    rows, columns = shape_of(operand(node, 0))
    tokens = tensors_of(node)[0].numel() // max(1, columns)
    return roles.weight[operand(node, 0)].index, WeightMatrix(0, rows, columns, 1, 0, tokens)


def _linear_matrix(node: fx.Node, use: linear.WeightUse) -> WeightMatrix:
    left, right = linear.factors(node)
    contracted, m, n = shape_of(left)[-1], shape_of(left)[-2], shape_of(right)[-1]
    out_features = m * n // use.positions
    batch = shape_of(left)[0] if len(shape_of(left)) == 3 else 1
    positions = use.positions, use.positions
    is_batch = len(shape_of(left)) == 3
    return WeightMatrix(use.contracted_axis, contracted, out_features, batch, *positions, is_batch)


def _operands(
    module: fx.GraphModule, roles: Roles, matrices: Mapping[int, WeightMatrix]
) -> Iterator[tuple[int, int, int, int]]:
    for node in calls(module.graph):
        if operator_of(node) == convolution.FORWARD:
            if convolution.weight_operand(node) not in roles.weight:
                tiles = convolution.dense_tiles(node)
                positions = convolution.describe(node, tiles).out_positions
                yield tiles.taps, positions, tiles.in_features, tiles.out_features
        elif operator_of(node) in linear.OPERATORS and linear.weight_use(node, roles) is None:
            left, right = map(shape_of, linear.factors(node))
            yield left[0] if len(left) == 3 else 1, left[-2], left[-1], right[-1]


def _biases(module: fx.GraphModule, roles: Roles) -> Iterator[int]:
    for node in calls(module.graph):
        position = {convolution.FORWARD: 2, "aten.addmm.default": 0}.get(operator_of(node))
        bias = None if position is None else node.args[position]
        if isinstance(bias, fx.Node) and bias in roles.weight:
            yield roles.weight[bias].index
