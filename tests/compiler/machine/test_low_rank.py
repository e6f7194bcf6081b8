"""Factors within a product: between the weight's own cost and that of all products in a row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from weft.compiler.machine import low_rank, multicast
from weft.compiler.machine.low_rank import Joint
from weft.compiler.machine.product import Product, ProductKind, Tile, tile_of
from weft.compiler.machine.tilings import Tilings, enumerate_tilings
from weft.compiler.targets.load import load_target

WSE3 = load_target("wse3")
INTO, OUT, TOKENS, RANK = 256, 512, 64, 8


def tile(tilings: Tilings, kind: ProductKind, into: int, out: int) -> Tile:
    sizes = (kind, into, out, 1, TOKENS, TOKENS, 0, "bfloat16", 2)
    nonzeros = -(-into // tilings.in_split) * -(-out // tilings.out_split)
    return tile_of(WSE3, tilings, Product(*sizes), nonzeros)


def joint(tilings: Tilings, kind: ProductKind) -> Joint:
    sizes = (INTO + RANK, OUT + RANK), (INTO, RANK), (RANK, OUT)
    tiles = (tile(tilings, kind, *size) for size in sizes)
    return Joint(*tiles, keeps_both=np.ones(len(tilings), np.bool_))


def test_it_lies_between_the_weight_alone_and_all_in_a_row() -> None:
    tilings = enumerate_tilings(INTO, TOKENS, OUT, 400, 400)
    for kind in (ProductKind.FORWARD, ProductKind.INPUT_GRADIENT):
        made = joint(tilings, kind)
        both = low_rank.cost(WSE3, made)
        whole = multicast.cost(WSE3, made.whole)
        parts = [multicast.cost(WSE3, part) for part in (made.down, made.up)]
        own = multicast.cost(WSE3, tile(tilings, kind, INTO, OUT))
        total = both.compute + both.network
        assert (total >= whole.compute + whole.network - 1e-6)[made.is_possible].all()
        assert (total >= own.compute)[made.is_possible].all()
        apart = sum(c.compute + c.network for c in (own, *parts))
        assert np.median((total / apart)[made.is_possible]) < 1
        twice = low_rank.cost(WSE3, replace(made, keeps_both=~made.keeps_both))
        assert (twice.network >= both.network - 1e-6).all()


def test_gradients_of_factors_need_one_operand_or_none() -> None:
    tilings = enumerate_tilings(INTO, TOKENS, OUT, 400, 400)
    of = tile(tilings, ProductKind.WEIGHT_GRADIENT, INTO, RANK)
    none, inputs = (low_rank.gradient_cost(WSE3, of, inputs_come=one) for one in (False, True))
    np.testing.assert_array_equal(none.compute, inputs.compute)
    assert (inputs.network >= none.network).all()
    assert (none.network[tilings.space_split == 1] == 0).all()
