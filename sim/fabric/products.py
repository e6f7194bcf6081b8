"""Which operators of a stage are stepped, what each consists of, and the sizes of its parts.

Forward products and input gradients have their operand sent along one side of a block of PEs and
their sums added up along the other. A weight gradient has both operands sent. A block is one slice
of the positions, or of a batch of products. All sizes come from the operator's record and the
stage's tiling.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from ...compiler.machine.collectives import words
from ...compiler.machine.hand_over import OPERATOR, WEIGHTS
from ...compiler.machine.product import Product as Sizes
from ...compiler.machine.product import ProductKind, Tile, in_batch, tile_of
from ...compiler.machine.tilings import Tilings
from ...compiler.plan.stage_record import OperatorCost, ProductStep, StageRecord, SumStep, Tiling
from ...compiler.targets.target import Target
from .hand_over import HandOver
from .product import FabricProduct
from .slices import Border, Copies
from .sums import Sum

PRODUCTS = frozenset({"linear", "convolution"})


@dataclass(frozen=True)
class Operator:
    """What an operator consists of, one after the other: products, sums over PEs, and `pass_cycles`
    of arithmetic besides. The sums `behind` go on while the operators that follow run; with `leads`
    they begin before the last of the products. Or it is only `handed` over to another region."""

    products: tuple[FabricProduct, ...]
    sums: tuple[Sum, ...]
    pass_cycles: int
    behind: tuple[Sum | Copies, ...] = ()
    leads: bool = False
    handed: HandOver | None = None

    @property
    def borders(self) -> tuple[Border, ...]:
        """Those that it ends with."""
        last = [p for p in self.products if p.is_border_after and p.border is not None]
        return tuple(product.border for product in last if product.border is not None)


def operators_of(record: StageRecord, target: Target) -> dict[tuple[str, str], Operator]:
    """By (phase, operator name) the operators of a stage that products or sums are a part of, and
    those of its forward that hand over.

    Of products those are stepped whose operands come by multicast.
    """
    found = {}
    for operator in record.operators:
        products = [step for step in operator.steps if isinstance(step, ProductStep)]
        if operator.steps and (not products or record.tiling.algorithm == "multicast"):
            found[operator.phase, operator.name] = _operator(operator, record.tiling, target)
        elif operator.operator == OPERATOR:
            found[operator.phase, operator.name] = _handed_over(operator.name, record, target)
    return found


def _handed_over(name: str, record: StageRecord, target: Target) -> Operator:
    """What a forward saved of one sample goes to the backward's region, or weights come from it."""
    memory, line = record.memory_per_pe, min(record.part.height, record.part.width)
    saved = memory.activation_fifo_bytes // record.fifo_depth
    size_bytes = memory.weights_bytes if name == WEIGHTS else saved
    handed = HandOver(line, _int(words(target.noc, size_bytes, 1)))
    return Operator((), (), 0, handed=handed)


def _operator(operator: OperatorCost, tiling: Tiling, target: Target) -> Operator:
    products = [step for step in operator.steps if isinstance(step, ProductStep)]
    steps = [step for step in operator.steps if isinstance(step, SumStep)]
    rest = operator.compute_cycles - sum(step.cycles for step in products)
    stepped = tuple(_in_order(products, tiling, target))
    sums, later = (
        [one for step in steps if step.is_behind == is_behind for one in _sums(step, tiling.groups)]
        for is_behind in (False, True)
    )
    beside = sum(_int(one.formula.beside_cycles(target.noc)) for one in later)
    slices = [product.beside for product in stepped if product.beside is not None]
    passes = max(0, rest) + beside
    return Operator(stepped, tuple(sums), passes, (*slices, *later), leads=bool(slices))


def _in_order(steps: list[ProductStep], tiling: Tiling, target: Target) -> Iterator[FabricProduct]:
    """A weight's gradient that another product follows is summed over the slices beside that, with
    the borders that it has then."""
    behind: Copies | None = None
    for number, step in enumerate(steps, 1):
        found = _product(step, tiling, target)
        if behind is not None:
            found = replace(found, beside=behind, border=None)
        behind = found.copies if number < len(steps) else None
        yield found if behind is None else replace(found, copies=None)


def _sums(step: SumStep, groups: int) -> list[Sum]:
    sizes = step.words, step.along, step.across, step.spacing
    return step.rounds * [Sum(*sizes, step.is_behind, groups)]


def _sizes(step: ProductStep) -> Sizes:
    return Sizes(
        kind=ProductKind(step.kind),
        in_features=step.in_features + step.rank,
        out_features=step.out_features + step.rank,
        taps=step.taps,
        in_positions=step.in_positions,
        out_positions=step.out_positions,
        halo=step.halo,
        dtype=step.dtype,
        itemsize=step.item_bytes,
        loaded=step.loaded,
        batch=step.batch,
    )


def _product(step: ProductStep, tiling: Tiling, target: Target) -> FabricProduct:
    sizes, noc = _sizes(step), target.noc
    tilings, turns = in_batch(Tilings.of(tiling), step.batch)
    tile = tile_of(target, tilings, sizes, np.array([step.nonzeros]))
    height, width, turn = (_int(size) for size in (tilings.in_split, tilings.out_split, turns))
    inputs, outputs = (turn * _int(of(noc)) for of in (tile.in_words, tile.out_words))
    rows, columns, sums = {
        ProductKind.FORWARD: (inputs, 0, outputs),
        ProductKind.INPUT_GRADIENT: (outputs, 0, inputs),
        ProductKind.WEIGHT_GRADIENT: (inputs, outputs, 0),
    }[sizes.kind]
    rows, columns = (rows, columns) if step.sent == "both" else (0, 0)
    turned, spacing = sizes.kind is ProductKind.INPUT_GRADIENT, _int(tilings.in_spacing)
    operands_outermost, sums_outermost = (bool(order[0]) for order in tile.orders)
    return FabricProduct(
        slices=tiling.space_split * min(step.batch, tiling.in_split),
        height=width if turned else height,
        width=height if turned else width,
        loaded_words=turn * _int(tile.loaded_words(noc)),
        row_words=rows,
        column_words=columns,
        multiply_cycles=step.cycles,
        sum_words=sums,
        operands_outermost=operands_outermost,
        sums_outermost=sums_outermost,
        turns=1 + turn * (_int(tile.turns) - 1),
        border=_border(tile, target),
        is_border_after=sizes.kind is ProductKind.FORWARD,
        copies=_copies(tile, tiling.groups, target)
        if sizes.kind is ProductKind.WEIGHT_GRADIENT
        else None,
        row_spacing=spacing if turned else 1,
        column_spacing=1 if turned else spacing,
        groups=tiling.groups,
    )


def _int(size: np.ndarray) -> int:
    return int(np.asarray(size).reshape(-1)[0])


def _border(tile: Tile, target: Target) -> Border | None:
    """Half of what inputs reach beyond a slice of the outputs lies before it, half after."""
    sizes, tilings = tile.product, tile.tilings
    own, beyond = _int(tile.out_positions), _int(tile.border)
    if beyond == 0:
        return None
    features = _int(tile.out_features)
    held, needed = (
        _int(words(target.noc, features * positions, sizes.itemsize))
        for positions in (own, ceil(beyond / 2))
    )
    return Border(_int(tilings.space_split), _int(tilings.space_spacing), held, needed)


def _copies(tile: Tile, groups: int, target: Target) -> Copies | None:
    """The sum of a weight's gradient over the slices."""
    slices, sums = _int(tile.tilings.space_split), _int(tile.weight_words(target.noc))
    if slices == 1 or sums == 0:
        return None
    return Copies(slices, _int(tile.tilings.space_spacing), sums, groups)
