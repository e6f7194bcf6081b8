"""Starts, SIMD groups and memory ports of one PE, against counts by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.backend.errors import UserError
from weft.compiler.machine.instruction import (
    column_groups,
    group_cycles,
    mapped_cycles,
    multiply_add_cycles,
    pass_cycles,
    software,
)
from weft.compiler.targets import load_target

WSE2, WSE3 = load_target("wse2"), load_target("wse3")


def test_a_simd_group_passes_the_memory_ports():
    """8 halves from each of two operands, 16 B in: 2 cycles; results of 16 B over 8 B out too."""
    assert group_cycles(WSE3, "float16") == 2 * 8 * 2 / 16 == 8 * 2 / 8
    unhindered = load_target("wse3", {"compute.float32.sustained_fraction": "1"})
    assert group_cycles(unhindered, "float32") == 2 * 2 * 4 / 16 == 1
    narrow = load_target("wse3", {"sram.write_bytes_per_cycle": "4"})
    assert group_cycles(narrow, "float16") == 4


def test_vectors_are_paid_in_simd_groups():
    assert mapped_cycles(WSE3, "float16", 1) == mapped_cycles(WSE3, "float16", 0)
    step = mapped_cycles(WSE3, "float16", 2) - mapped_cycles(WSE3, "float16", 1)
    assert step == pytest.approx(2)
    sizes = [1, 8, 9, 16, 17]
    assert [float(multiply_add_cycles(WSE3, "float16", n)) for n in sizes] == [2, 2, 4, 4, 6]


def test_what_whole_kernels_sustain_holds_where_the_ports_would_pass_more():
    """A group of one 32-bit element: 8 B in and 4 B out pass in a cycle, 1.19 were measured."""
    assert group_cycles(WSE2, "float32") == pytest.approx(1.19, rel=0.001)
    rates = replace(WSE2.compute["float32"], sustained_fraction=0.5)
    apart = replace(WSE2, compute={**WSE2.compute, "float32": rates})
    assert group_cycles(apart, "float32") == 2


@given(st.integers(1, 64))
def test_columns_that_begin_within_a_word_take_more_groups(elements):
    """Against a count word by word: 8 lanes, words of 4 halves, columns one after the other."""
    columns = []
    for column in range(8):
        first, last = column * elements, (column + 1) * elements - 1
        words = last // 4 - first // 4 + 1
        columns.append(-(-words // 2))
    assert column_groups(WSE3, "float16", elements) == pytest.approx(np.mean(columns))


def test_a_written_instruction_loads_its_descriptors_too():
    """A pass over elements, started by hardware or written out in a program."""
    software_written = replace(WSE2, software=replace(WSE2.software, triggered=False))
    triggered, written = (
        float(pass_cycles(target, "float32", 100, passes=3)) for target in (WSE2, software_written)
    )
    assert written - triggered == pytest.approx(3 * WSE2.vector.loop_cycles)


def test_a_constant_nobody_measured_is_refused():
    with pytest.raises(UserError, match=r"wse2, software\.mapped_cycles"):
        software(WSE2, "mapped_cycles")
