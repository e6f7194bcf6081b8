"""Which operators of a stage are stepped, what each consists of, and the sizes of its parts.

Forward products and input gradients have their operand sent along one side of a block of PEs and
their sums added up along the other. A weight gradient has both operands sent. A block is one slice
of the positions, or of a batch of products.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from torch import fx

from ...compiler.kernels import convolution, linear
from ...compiler.kernels.collectives import AllReduce, words
from ...compiler.kernels.contraction import (
    Contraction,
    Kind,
    Part,
    batch_site,
    loaded_words,
    orders,
)
from ...compiler.kernels.contraction import tile_nonzeros as fullest_tile
from ...compiler.kernels.layout import find_layout
from ...compiler.kernels.registry import KERNELS
from ...compiler.kernels.roles import calls, operator_of
from ...compiler.kernels.site import Site
from ...compiler.kernels.tilings import Floats, Tilings
from ...compiler.plan.plan import Plan
from ...compiler.plan.program import Stage
from ...compiler.plan.stage_record import OperatorCost, StageRecord
from ...compiler.remap.plan_tiles import plan_tiles
from ...compiler.targets.target import Target
from .product import Product
from .slices import Border, Copies
from .sums import Sum

PRODUCTS = frozenset({"linear", "convolution"})
_STEPPED = PRODUCTS | {"reduction", "normalization"}


@dataclass(frozen=True)
class Operator:
    """What an operator consists of, one after the other: products, sums over PEs, and `pass_cycles`
    of arithmetic besides."""

    products: tuple[Product, ...]
    sums: tuple[Sum, ...]
    pass_cycles: int


def operators_of(
    plan: Plan, stage: Stage, record: StageRecord, target: Target
) -> dict[tuple[str, str], Operator]:
    """By (phase, operator name) the products, reductions and normalizations of a stage.

    The plan lists a stage's operators in the order of its graphs; nodes may have other names after
    they have been stored.
    """
    program = stage.program
    layout = find_layout(program)
    tiles = plan_tiles(plan, stage, record, layout)
    in_axis = {index: matrix.in_axis for index, matrix in layout.matrices.items()}
    graphs = {
        "forward": (program.forward, layout.forward),
        "backward": (program.backward, layout.backward),
    }
    found = {}
    for phase, (module, roles) in graphs.items():
        site = Site(target, Tilings.of(record.tiling), roles, tiles, in_axis)
        nodes = [node for node in calls(module.graph) if _family(node) in _STEPPED]
        costs = [o for o in record.operators if o.phase == phase and o.family in _STEPPED]
        for node, cost in zip(nodes, costs, strict=True):
            found[phase, cost.name] = _operator(node, site, cost)
    return found


def _family(node: fx.Node) -> str:
    kernel = KERNELS.get(operator_of(node))
    return kernel.family if kernel else ""


def _operator(node: fx.Node, site: Site, cost: OperatorCost) -> Operator:
    """The plan has an operator's arithmetic in one sum; all its products do the same."""
    sums = KERNELS[operator_of(node)].cost(node, site).sums
    stepped = tuple(one for of in sums for one in _sums(of))
    if cost.family not in PRODUCTS:
        return Operator((), stepped, cost.compute_cycles)
    kernel = linear if operator_of(node) in linear.OPERATORS else convolution
    parts = (linear.part(node, site),) if kernel is linear else convolution.parts(node, site)
    bias = _whole(kernel.bias_cycles(node, site))
    each = (cost.compute_cycles - bias) // max(1, len(parts))
    return Operator(tuple(_product(part, site, each) for part in parts), stepped, bias)


def _sums(of: AllReduce) -> list[Sum]:
    return of.rounds * [Sum(*(int(size[0]) for size in (of.words, of.pes, of.line)))]


def _product(part: Part, site: Site, multiply_cycles: int) -> Product:
    kind, product = part.kind, part.product
    inside, turns = batch_site(site, product.batch)
    tilings, slices = inside.tilings, site.tilings.space_split
    height, width, turn = (int(size[0]) for size in (tilings.in_split, tilings.out_split, turns))
    in_features = ceil(product.weights.in_features / height)
    out_features = ceil(product.weights.out_features / width)
    in_positions = ceil(product.in_positions / int(slices[0]))
    out_positions = ceil(product.out_positions / int(slices[0]))
    inputs = turn * _words(in_features * in_positions, site, product)
    outputs = turn * _words(out_features * out_positions, site, product)
    rows, columns, sums = {
        Kind.FORWARD: (inputs, 0, outputs),
        Kind.INPUT_GRADIENT: (outputs, 0, inputs),
        Kind.WEIGHT_GRADIENT: (inputs, outputs, 0),
    }[kind]
    turned, spacing = kind is Kind.INPUT_GRADIENT, int(tilings.in_spacing[0])
    operands_outermost, sums_outermost, turns_of_sums = orders(inside, part)
    features = out_features if turned else in_features
    return Product(
        slices=int(slices[0]) * min(product.batch, int(site.tilings.in_split[0])),
        height=width if turned else height,
        width=height if turned else width,
        loaded_words=int((turns * loaded_words(inside, product))[0]),
        row_words=rows,
        column_words=columns,
        multiply_cycles=multiply_cycles,
        sum_words=sums,
        operands_outermost=bool(operands_outermost[0]),
        sums_outermost=bool(sums_outermost[0]),
        turns=1 + turn * (int(turns_of_sums[0]) - 1),
        border=_border(features, site, product),
        copies=_copies(site, product) if kind is Kind.WEIGHT_GRADIENT else None,
        row_spacing=spacing if turned else 1,
        column_spacing=1 if turned else spacing,
    )


def _words(elements: int, site: Site, product: Contraction) -> int:
    return int(words(site.target.noc, elements, product.itemsize))


def _whole(cycles: Floats) -> int:
    return ceil(float(cycles[0]))


def _lines(site: Site) -> tuple[int, int]:
    """Slices, and how far apart the PEs of one line through all of them are."""
    return int(site.tilings.space_split[0]), int(site.tilings.space_spacing[0])


def _border(features: int, site: Site, product: Contraction) -> Border | None:
    """Half of what a kernel touches beyond a slice lies before it, half after."""
    slices, spacing = _lines(site)
    own = ceil(product.in_positions / slices)
    side = min(ceil(product.halo / 2), product.in_positions - own)
    if side == 0:
        return None
    held, needed = (_words(features * positions, site, product) for positions in (own, side))
    return Border(slices, spacing, held, needed)


def _copies(site: Site, product: Contraction) -> Copies | None:
    """The sum of a weight's gradient over the slices."""
    slices, spacing = _lines(site)
    sums = words(site.target.noc, fullest_tile(site, product.weights), product.itemsize)
    if slices == 1 or sums[0] == 0:
        return None
    return Copies(slices, spacing, int(sums[0]))
