"""Which operators of a stage are products with a weight that can be stepped, and their sizes.

Forward products and input gradients have their operand sent along one side of a block of in_split x
out_split PEs and their sums added up along the other. A weight gradient has both operands sent. A
block is one slice of the positions; what slices tell each other is priced in closed form, as PEs
of different slices lie apart: a border that a kernel needs of the next slice, and the sum of a
weight's gradient over the slices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import cast

import numpy as np
from torch import fx

from ...compiler.kernels import convolution, linear
from ...compiler.kernels.collectives import all_reduce, transfer, words
from ...compiler.kernels.layout import Matrix, find_layout
from ...compiler.kernels.roles import Roles, calls, operator_of, tensors_of
from ...compiler.plan.plan import Plan
from ...compiler.plan.stage_record import OperatorCost, StageRecord
from ...compiler.targets.target import Target
from .product import Product

FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT = "forward", "input gradient", "weight gradient"
_STEPPED = linear.OPERATORS | {convolution.FORWARD, convolution.BACKWARD}


@dataclass(frozen=True)
class _Use:
    """What a node computes with which matrix, the positions a slice needs beyond its own, and the
    bytes of a value."""

    kinds: tuple[str, ...]
    matrix: Matrix
    halo: int
    itemsize: int


def products_of(plan: Plan, index: int, target: Target) -> dict[tuple[str, str], list[Product]]:
    """By (phase, operator name) of stage `index` the products that make up the operator; operators
    that cannot be stepped are left out."""
    stage = plan.document.stages[index]
    return {
        (cost.phase, cost.name): [_product(kind, use, stage, cost, target) for kind in use.kinds]
        for cost, use in _uses(plan, stage)
        if not (WEIGHT_GRADIENT in use.kinds and _shares_copies(plan, stage))
    }


def _shares_copies(plan: Plan, stage: StageRecord) -> bool:
    """Whether several matrices of a stage are summed over slices: the plan does not say how many
    non-zeros each of them has on the fullest PE."""
    matrices = find_layout(plan.programs[stage.program]).matrices
    return stage.tiling.space_split > 1 and len(matrices) > 1


def _uses(plan: Plan, stage: StageRecord) -> Iterator[tuple[OperatorCost, _Use]]:
    """The plan lists a stage's operators in the order of its graphs; nodes may have other names
    after they have been stored."""
    program = plan.programs[stage.program]
    layout = find_layout(program)
    graphs = {
        "forward": (program.forward, layout.forward),
        "backward": (program.backward, layout.backward),
    }
    for phase, (module, roles) in graphs.items():
        nodes = [node for node in calls(module.graph) if operator_of(node) in _STEPPED]
        costs = [o for o in stage.operators if o.phase == phase and o.operator in _STEPPED]
        for node, cost in zip(nodes, costs, strict=True):
            use = _use(node, roles, layout.matrices)
            if use is not None and use.kinds and use.matrix.in_positions:
                yield cost, use


def _use(node: fx.Node, roles: Roles, matrices: Mapping[int, Matrix]) -> _Use | None:
    name = operator_of(node)
    if name in linear.OPERATORS:
        return _linear_use(node, roles, matrices)
    if name not in (convolution.FORWARD, convolution.BACKWARD):
        return None
    alias = roles.weight.get(convolution.weight_operand(node))
    if alias is None or alias.index not in matrices:
        return None
    halo = convolution.describe(node, convolution.dense_tiles(node)).halo
    kinds = (FORWARD,) if name == convolution.FORWARD else _gradients(node)
    return _Use(kinds, matrices[alias.index], halo, tensors_of(node)[0].element_size())


def _linear_use(node: fx.Node, roles: Roles, matrices: Mapping[int, Matrix]) -> _Use | None:
    use, size = linear.weight_use(node, roles), tensors_of(node)[0].element_size()
    if use is not None and use.index in matrices:
        matrix = matrices[use.index]
        is_forward = use.contracted_axis == matrix.in_axis
        return _Use((FORWARD if is_forward else INPUT_GRADIENT,), matrix, 0, size)
    index = roles.gradient.get(node)
    if index is not None and index in matrices:
        return _Use((WEIGHT_GRADIENT,), matrices[index], 0, size)
    return None


def _gradients(node: fx.Node) -> tuple[str, ...]:
    """What a convolution's backward computes; none if a bias is summed in the same operator."""
    wants_input, wants_weight, wants_bias = cast("list[bool]", node.args[10])
    if wants_bias:
        return ()
    return (INPUT_GRADIENT,) * wants_input + (WEIGHT_GRADIENT,) * wants_weight


def _product(
    kind: str, use: _Use, stage: StageRecord, cost: OperatorCost, target: Target
) -> Product:
    """All products of one operator do the same arithmetic."""
    tiling, matrix = stage.tiling, use.matrix
    height, width, slices = tiling.in_split, tiling.out_split, tiling.space_split
    in_features = ceil(matrix.in_features / height)
    inputs = _words(in_features * ceil(matrix.in_positions / slices), use, target)
    out_features = ceil(matrix.out_features / width)
    outputs = _words(out_features * ceil(matrix.out_positions / slices), use, target)
    features = out_features if kind == INPUT_GRADIENT else in_features
    rows, columns, sums = {
        FORWARD: (inputs, 0, outputs),
        INPUT_GRADIENT: (outputs, 0, inputs),
        WEIGHT_GRADIENT: (inputs, outputs, 0),
    }[kind]
    copies = (0, 0)
    if kind == WEIGHT_GRADIENT:
        copies = _over_slices(stage, use, target)
    return Product(
        slices=slices,
        height=width if kind == INPUT_GRADIENT else height,
        width=height if kind == INPUT_GRADIENT else width,
        row_words=rows,
        column_words=columns,
        multiply_cycles=cost.compute_cycles // len(use.kinds),
        sum_words=sums,
        border_cycles=_border(features, stage, use, target),
        copies_cycles=copies[0],
        copies_latency_cycles=copies[1],
    )


def _words(elements: int, use: _Use, target: Target) -> int:
    return int(words(target.noc, elements, use.itemsize))


def _border(features: int, stage: StageRecord, use: _Use, target: Target) -> int:
    """Cycles of exchange with the next slices, in closed form."""
    own = ceil(use.matrix.in_positions / stage.tiling.space_split)
    halo = min(use.halo, use.matrix.in_positions - own)
    distance = np.array(ceil(halo / own) * stage.tiling.in_split)
    count = np.array(_words(features * halo, use, target))
    return ceil(float(transfer(target.noc, count, distance, 1)))


def _over_slices(stage: StageRecord, use: _Use, target: Target) -> tuple[int, int]:
    """Cycles of the sum of a weight's gradient over the slices, and of one word of it."""
    held = _words(stage.nonzeros.per_pe_max, use, target)
    slices = np.array(stage.tiling.space_split)
    cycles = (all_reduce(target.noc, np.array(count), slices) for count in (held, min(held, 1)))
    whole, word = (ceil(float(one)) for one in cycles)
    return whole, word
