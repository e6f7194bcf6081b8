"""Arithmetic of a tile on one PE, against bounds and loops written out here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from weft.compiler.machine.instruction import group_cycles, mapped_cycles, written_cycles
from weft.compiler.machine.local_product import (
    LocalProduct,
    cycles,
    looped,
    mapped_product_cycles,
)
from weft.compiler.targets import load_target

WSE2, WSE3 = load_target("wse2"), load_target("wse3")
WRITTEN = replace(WSE3, software=replace(WSE3.software, triggered=False))


def tile(inputs, outputs, positions=1, dtype="float16", nonzeros=None):
    weights = inputs * outputs
    one = np.array([1])
    return LocalProduct(
        nonzeros=one * (weights if nonzeros is None else nonzeros),
        weights=one * weights,
        in_features=one * inputs,
        out_features=one * outputs,
        positions=one * positions,
        turns=one,
        taps=1,
        is_sparse=nonzeros is not None,
        dtype=dtype,
    )


@pytest.mark.parametrize("side", [1, 7, 8, 30, 60, 120])
@pytest.mark.parametrize("target", [WSE3, WRITTEN], ids=["triggered", "written"])
def test_a_product_with_a_vector_takes_what_its_operands_need_at_the_ports(side, target):
    """Each weight and its sum are read, the sum is written: 2 B, 2 B and 2 B of a multiply-add."""
    macs, sram = side * side, target.sram
    reads, writes = 4 * macs / sram.read_bytes_per_cycle, 2 * macs / sram.write_bytes_per_cycle
    found = float(cycles(target, tile(side, side))[0])
    assert found >= max(reads, writes)


def test_a_mapped_product_instruction_by_instruction():
    """k sets of descriptors, each with n instructions on a column of m results; half of the work
    on descriptors once."""
    m, k, n = 16, 5, 3
    expected = written_cycles(WSE3) / 2
    for _ in range(k):
        expected += written_cycles(WSE3)
        for _ in range(n):
            expected += mapped_cycles(WSE3, "float16", m // 8)
    assert float(mapped_product_cycles(WSE3, "float16", m, k, n)) == pytest.approx(expected)


@pytest.mark.parametrize(("storage", "outside"), [("csc", 6), ("csr", 9), ("coo", 0)])
def test_a_loop_over_nonzeros_and_over_what_holds_them(storage, outside):
    """Six columns, nine rows, twenty non-zeros, each a vector of 36."""
    sparsity = replace(WSE2.sparsity, storage=storage)
    target = replace(WSE2, sparsity=sparsity, software=replace(WSE2.software, layout_cycles=None))
    each = written_cycles(target) + 36 * group_cycles(target, "float32")
    expected = 20 * each + outside * target.vector.task_cycles
    found = looped(target, tile(6, 9, positions=36, dtype="float32", nonzeros=20))
    assert float(found[0]) == pytest.approx(expected)


def test_fewer_nonzeros_never_take_longer():
    sizes = [0, 1, 20, 40, 54]
    found = [
        float(cycles(WSE2, tile(6, 9, positions=36, dtype="float32", nonzeros=n))[0]) for n in sizes
    ]
    assert found == sorted(found)
