"""A stage's product with its weight, PE by PE: the level below the stage cycles of a plan.

The same mapping as compiler/kernels/contraction.py: weights stay, inputs arrive by multicast along
the row, partial sums are reduced along the column over the in_split rows of every slice of the
positions. The loops run in either order; the faster counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from ...backend.errors import UserError
from ...compiler.kernels.collectives import reduce_chain, reduce_two_phase
from ...compiler.kernels.layout import Matrix, find_layout
from ...compiler.plan.document import OperatorCost, StageRecord, Tiling
from ...compiler.plan.plan import Plan
from ...compiler.program import StageProgram
from ...compiler.targets.target import Target
from .kernels import Message, add_chain, add_two_phase
from .region import Instruction, Port, Region
from .run import run

_CONTRACTIONS = {"linear", "convolution"}


@dataclass(frozen=True)
class Product:
    """What every PE of a region does: receive `arriving_words` (a row's PEs the same), multiply for
    `multiply_cycles`, add up `sum_words` with the PEs of its column. `other_cycles` of other
    operators follow."""

    tiling: Tiling
    arriving_words: int
    multiply_cycles: int
    sum_words: int
    other_cycles: int


def forward_cycles(plan: Plan, index: int, target: Target) -> int:
    """Cycles of the forward phase of stage `index`, every PE of its region stepped.

    As at the event level a phase begins when its first operands are there: what the first word
    takes to every core, and starting to receive, belong to the stream that brings it.

    Raises UserError for a stage that is not one product with a weight whose slices need no border
    from their neighbours.
    """
    product = forward_product(plan, index, target)
    first = Region(product.tiling.height, product.tiling.width, colours=1)
    if product.tiling.width > 1:
        _multicast(first, 1, Message(round(target.noc.collective_start_cycles)))
    orders = (run(region(product, target, order), target).cycles for order in (False, True))
    return min(orders) - run(first, target).cycles


def forward_product(plan: Plan, index: int, target: Target) -> Product:
    """Sizes from the stage's program, cycles of the arithmetic from the plan."""
    stage = plan.document.stages[index]
    program, tiling = plan.programs[stage.program], stage.tiling
    matrix, main = _only_matrix(stage, program)
    positions = ceil(matrix.in_positions / tiling.space_split)
    itemsize = program.inputs[0].torch_dtype.itemsize
    per_word = target.noc.link_bytes_per_cycle / itemsize
    arriving = ceil(matrix.in_features / tiling.in_split) * positions
    sums = ceil(matrix.out_features / tiling.out_split) * ceil(
        matrix.out_positions / tiling.space_split
    )
    others = [o for o in stage.operators if o.phase == "forward" and o is not main]
    return Product(
        tiling=tiling,
        arriving_words=ceil(arriving / per_word),
        multiply_cycles=main.compute_cycles,
        sum_words=ceil(sums / per_word),
        other_cycles=sum(operator.cycles for operator in others),
    )


def region(product: Product, target: Target, sums_outermost: bool) -> Region:
    """Programs and routes. With the operands outermost, a PE multiplies with every word as it
    arrives and the reduction follows; with the sums outermost, it has all words before it
    multiplies, and sends every sum as it is complete."""
    tiling, start = product.tiling, round(target.noc.collective_start_cycles)
    found = Region(tiling.height, tiling.width, colours=5)
    streams, reduces = tiling.width > 1, tiling.in_split > 1
    overlapped = product.sum_words if sums_outermost else product.arriving_words
    overlaps = reduces if sums_outermost else streams
    pace = max(1, product.multiply_cycles // overlapped) if overlaps else 1
    rest = product.multiply_cycles - (pace * overlapped if overlaps else 0)
    if streams:
        _multicast(found, product.arriving_words, Message(start, 1 if sums_outermost else pace))
    _compute(found, rest)
    if reduces:
        _reduce(found, product, target, Message(start, pace if sums_outermost else 1))
    _compute(found, product.other_cycles)
    return found


def _multicast(found: Region, words: int, how: Message) -> None:
    """On colour 0, from the first PE of every row to all others."""
    send = replace(Instruction.send(words, 0, how.setup), pace=how.pace)
    receive = replace(Instruction.receive(words, 0), pace=how.pace)
    for row in range(found.height):
        found.route(row, 0, 0, Port.RAMP, [Port.EAST])
        found.program(row, 0, send)
        for column in range(1, found.width):
            onward = [Port.EAST] if column < found.width - 1 else []
            found.route(row, column, 0, Port.WEST, [Port.RAMP, *onward])
            found.program(row, column, receive)


def _reduce(found: Region, product: Product, target: Target, how: Message) -> None:
    """Up every column within each slice of the positions, the faster way of the two."""
    pes, words, noc = product.tiling.in_split, product.sum_words, target.noc
    group = max(1, ceil(pes**0.5))
    one = reduce_chain(noc, np.array(words), np.array(pes))
    two = reduce_two_phase(noc, np.array(words), np.array(pes), np.array(group))
    for column in range(found.width):
        for first in range(0, found.height, pes):
            line = [(row, column) for row in range(first, first + pes)]
            if one <= two:
                add_chain(found, line, range(pes), words, (1, 2), Port.NORTH, how)
            else:
                add_two_phase(found, line, group, words, (1, 2, 3, 4), Port.NORTH, how)


def _compute(found: Region, cycles: int) -> None:
    for row, column in np.ndindex(found.height, found.width):
        if cycles > 0:
            found.program(row, column, Instruction.compute(cycles))


def _only_matrix(stage: StageRecord, program: StageProgram) -> tuple[Matrix, OperatorCost]:
    """The stage's one weight and the operator that multiplies with it."""
    forward = [operator for operator in stage.operators if operator.phase == "forward"]
    products = [operator for operator in forward if operator.family in _CONTRACTIONS]
    matrices = list(find_layout(program).matrices.values())
    if len(matrices) == len(products) == 1 and not _needs_border(matrices[0], stage.tiling):
        return matrices[0], products[0]
    raise UserError(
        f"stage {stage.id} at the fabric level",
        expected="one product with a weight, positions whole or one tap",
        got=f"{len(products)} products, {len(matrices)} weights, {stage.tiling}",
        change="choose a stage that is a linear layer or a convolution with space_split 1",
    )


def _needs_border(matrix: Matrix, tiling: Tiling) -> bool:
    return matrix.taps > 1 and tiling.space_split > 1
