"""Factors within a product: between the weight's own cost and that of all products in a row."""

from __future__ import annotations

import numpy as np
from weft.compiler.machine import low_rank, multicast
from weft.compiler.machine.collectives import broadcast, reduce, reduce_behind
from weft.compiler.machine.low_rank import Joint, Lines
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
    return Joint(*tiles)


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


def test_positions_of_a_factors_gradient_are_dealt_out_to_pes_without_a_row_of_it() -> None:
    """The multiply-adds of the PEs of a row, over all that share its positions, are those of the
    row; their sums are one word for each weight of it."""
    tilings = enumerate_tilings(INTO, TOKENS, OUT, 400, 400)
    of = tile(tilings, ProductKind.WEIGHT_GRADIENT, INTO, RANK)
    ones = np.ones_like(tilings.groups)
    across = Lines(tilings.out_split, ones)
    found = low_rank.gradient_cost(WSE3, of, RANK, across)
    alone = low_rank.gradient_cost(WSE3, of, RANK, Lines(ones, ones))
    shared = tilings.out_split >= 2 * RANK
    assert shared.any()
    assert (found.compute <= alone.compute).all()
    assert (found.compute < alone.compute)[shared & (of.in_positions > 8)].all()
    np.testing.assert_array_equal(found.compute[~shared], alone.compute[~shared])
    np.testing.assert_array_equal(found.network[~shared], alone.network[~shared])
    rate = WSE3.arithmetic("bfloat16").macs_per_cycle
    sharers = np.clip(tilings.out_split // RANK, 1, of.in_positions)
    least = of.nonzeros * of.in_positions / sharers / rate
    assert (found.compute >= np.floor(least)).all()
    sums = found.network - alone.network
    assert (sums[shared & (of.in_positions > 1)] > 0).all()


def test_sums_that_wait_hide_what_lies_between_the_factors_and_no_more() -> None:
    """The forward never takes less than the operands, alone, and the arithmetic; nor than u's way
    and the sums'."""
    tilings = enumerate_tilings(INTO, TOKENS, OUT, 400, 400)
    made = joint(tilings, ProductKind.FORWARD)
    found = low_rank.cost(WSE3, made)
    noc, splits = WSE3.noc, (tilings.in_split, tilings.in_spacing)
    between = reduce(noc, made.down.out_words(noc), *splits)
    between = between + broadcast(noc, made.up.in_words(noc), tilings.out_split)
    sums = reduce(noc, made.whole.out_words(noc), *splits)
    total, possible = found.compute + found.network, made.is_possible
    assert (total >= between + sums - 1e-6)[possible].all()
    last = reduce_behind(noc, made.whole.out_words(noc), *splits)
    assert (total >= found.compute + np.minimum(sums, last) - 1e-6)[possible].all()
