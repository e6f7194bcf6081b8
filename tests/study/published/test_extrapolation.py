"""Kernels at sizes that nobody measured: more work is never faster, and large sizes cost what the
mechanism behind them costs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from weft.backend.errors import UserError
from weft.compiler.machine.instruction import group_cycles
from weft.compiler.targets import load_target
from weft.sim.validation.row import Row
from weft.study.published import KERNELS

SHIPPED = {name: load_target(name) for name in ("wse2", "wse3")}
TARGETS = {
    name: replace(target, sram=replace(target.sram, bytes_per_pe=2**40))
    for name, target in SHIPPED.items()
}
"""With memory for any tile."""
START = {
    "reduce_chain": {"pes": 64, "words_f32": 64},
    "reduce_two_phase": {"pes": 64, "words_f32": 64, "group_size": 8},
    "gemv_tree": {"p": 48, "groups": 8, "tile": 4},
    "gemv_chain_reduce_broadcast": {"p": 48, "words_f32": 8},
    "mesh_gemm": {"p": 48, "tile_m": 8, "tile_k": 8, "tile_n": 8},
    "fmach_loop": {"p": 8, "tile_m": 8, "tile_k": 8, "tile_n": 8},
    "summa_overlapped": {"p": 48, "tile_m": 8, "tile_k": 8, "tile_n": 8},
    "shift_blocking": {"p": 48, "tile": 4, "repeats": 4},
    "decode_layer": {"p": 80, "dim_per_pe": 8, "ffn_per_pe": 16, "kv": 4096, "groups": 20},
    "prefill_layer": {"p": 48, "seq_per_pe": 8, "dim_per_pe": 8, "ffn_per_pe": 16},
}
"""Sizes are whole SIMD groups: a column that begins within a word may take a group more than a
longer one that does not."""
FLAT = {("shift_blocking", "p")}
"""All PEs of the line pass their tiles on at once."""
FIXED = {"groups", "group_size"}
FACTORS = {"decode_layer": (1, 2, 3, 5, 8, 12)}
"""Of its plans, which are many operators; others are priced at all from 1 to 12."""
LARGE = {("prefill_layer", "p"): 64}
"""Its sums are stepped from PE to PE; 3,072 on a side are more than any wafer has."""
GROWING = [(name, column) for name, of in START.items() for column in of if column not in FIXED]


def cycles(name, columns):
    kernel = KERNELS[name]
    row = Row("test", {key: str(value) for key, value in columns.items()})
    return kernel.simulate(TARGETS[kernel.target], row)


def grown(name, column, factor):
    start = START[name]
    return cycles(name, start | {column: start[column] * factor})


@pytest.mark.parametrize(("name", "column"), GROWING)
def test_more_is_never_faster(name, column):
    sizes = [grown(name, column, factor) for factor in FACTORS.get(name, range(1, 13))]
    for smaller, larger in pairwise(sizes):
        assert all(a <= b for a, b in zip(smaller, larger, strict=True))
    if (name, column) not in FLAT:
        assert all(a < b for a, b in zip(sizes[0], sizes[-1], strict=True))


@pytest.mark.parametrize(("name", "column"), GROWING)
def test_large_sizes_grow_by_a_power(name, column):
    """Twice as much of one size costs in the end as much, twice or four times as much, and nothing
    between: a term that grows otherwise would be none of the mechanisms."""
    factor = LARGE.get((name, column), 512)
    small, large = grown(name, column, factor), grown(name, column, 2 * factor)
    ratios = [b / a for a, b in zip(small, large, strict=True)]
    assert all(min(abs(ratio / power - 1) for power in (1, 2, 4)) < 0.06 for ratio in ratios)


@pytest.mark.parametrize("name", ["mesh_gemm", "summa_overlapped"])
def test_a_large_tile_runs_at_the_rate_of_its_loop(name):
    """In the end only the groups of lanes count that the multiply-adds pass through."""
    target, side, pes = TARGETS["wse3"], 2048, 8
    (found,) = cycles(name, {"p": pes, "tile_m": side, "tile_k": side, "tile_n": side})
    lanes = int(target.arithmetic("float16").macs_per_cycle)
    expected = pes * side**3 / lanes * group_cycles(target, "float16")
    assert found == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("name", ["reduce_chain", "reduce_two_phase"])
def test_a_long_reduction_runs_at_the_rate_of_the_roots_ramp(name):
    """A word per cycle, each as often as there are phases."""
    (found,) = cycles(name, START[name] | {"words_f32": 10**6})
    assert found == pytest.approx((2 if name == "reduce_two_phase" else 1) * 10**6, rel=0.002)


def test_a_two_phase_sum_in_one_group_or_in_groups_of_one_is_a_chain():
    row = {"pes": 512, "words_f32": 64}
    (chain,) = cycles("reduce_chain", row)
    sizes = [cycles("reduce_two_phase", row | {"group_size": size})[0] for size in (1, 512, 900)]
    assert sizes == [chain] * 3


@pytest.mark.parametrize("groups", [1, 2, 7, 8, 13, 48])
def test_groups_of_a_tree_need_not_be_equal(groups):
    """No refusal, no jump: a PE more costs at most some steps of its longest chains."""
    base = {"groups": groups, "tile": 4}
    sizes = np.array([*range(48, 100), *range(142, 148), *range(190, 200)])
    found = np.array([cycles("gemv_tree", base | {"p": p})[0] for p in sizes])
    step, jumps = found[-1] - found[0], np.diff(found)[np.diff(sizes) == 1]
    assert np.abs(jumps).max() < max(40, step / 4)
    assert found[-1] > found[0]


def test_a_layer_takes_any_number_of_pes():
    """A prime number of PEs as well as its neighbours."""
    shape, sizes = {"dim_per_pe": 12, "ffn_per_pe": 40}, (502, 503, 504, 508, 509, 510, 512)
    found = [cycles("decode_layer", shape | {"p": p})[0] for p in sizes]
    assert max(found) / min(found) < 1.06


TOO_LARGE = {
    "mesh_gemm": {"tile_m": 128, "tile_k": 128, "tile_n": 8},
    "fmach_loop": {"tile_m": 128, "tile_k": 128},
    "summa_overlapped": {"tile_m": 90, "tile_k": 90, "tile_n": 90},
    "gemv_tree": {"tile": 200},
    "gemv_chain_reduce_broadcast": {"words_f32": 120},
    "shift_blocking": {"tile": 128},
    "decode_layer": {"dim_per_pe": 100},
    "prefill_layer": {"seq_per_pe": 200},
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_tiles_larger_than_a_pe_are_refused(name):
    kernel, columns = KERNELS[name], START[name] | TOO_LARGE[name]
    row = Row("test", {key: str(value) for key, value in columns.items()})
    with pytest.raises(UserError, match="49,152 B, all memory of a PE"):
        kernel.figures(SHIPPED[kernel.target], row)


def test_more_groups_than_pes_are_refused():
    with pytest.raises(UserError, match="from 1 to 48"):
        cycles("gemv_tree", START["gemv_tree"] | {"groups": 49})
