"""The mechanisms behind the registered kernels, against independent recomputation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.backend.errors import UserError
from weft.compiler.kernels.nonzeros import WeightTiles
from weft.compiler.targets import load_target
from weft.sim.machine import KERNELS, Row
from weft.sim.machine.kernels.spmm import _tile_counts
from weft.sim.machine.kernels.summa import step_cycles
from weft.sim.machine.line import Timing, all_reduce_tree, sums_around
from weft.sim.machine.pe import column_groups, element_cycles, group_cycles, mapped_cycles

WSE2, WSE3 = load_target("wse2"), load_target("wse3")
OF = Timing(hop=2, ramp=4, relay=3, issue=10, word=1.5)


def simulate(kernel: str, **columns: object) -> tuple[float, ...]:
    entry = KERNELS[kernel]
    row = Row("test", {key: str(value) for key, value in columns.items()})
    return entry.simulate(load_target(entry.target), row)


def test_times_of_a_line_shift_with_their_start():
    ready = np.random.default_rng(0).random(36) * 100
    done = all_reduce_tree(ready, 4, 3, OF, sends=2)
    assert all_reduce_tree(ready + 1000, 4, 3, OF, sends=2) == pytest.approx(done + 1000)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(2, 9), st.integers(0, 53), st.floats(1, 500))
def test_a_late_pe_delays_the_sum_of_all(groups, size, late, delay):
    """Every PE hears the sum, so nobody is done before the latest has sent its share."""
    ready = np.zeros(groups * size)
    ready[late % len(ready)] = delay
    done = all_reduce_tree(ready, groups, 1, OF, sends=1)
    on_time = all_reduce_tree(np.zeros_like(ready), groups, 1, OF, sends=1)
    assert (done >= on_time).all()
    assert done.min() > delay


def test_a_single_group_is_two_chains_and_a_multicast():
    """Nine PEs, the root in the middle: four steps, then the way back, counted by hand."""
    done = all_reduce_tree(np.zeros(9), 1, 1, OF, sends=1)
    first_sum = OF.issue + OF.relay + OF.ramp + OF.hop  # at the next router
    arrival = first_sum + 3 * (OF.ramp + OF.relay + OF.ramp + OF.hop)
    one_arm = arrival + OF.ramp + OF.word
    root = one_arm + OF.issue + OF.word  # the other arm has arrived, it waits its turn
    sent = root + OF.issue + OF.relay
    assert done[0] == pytest.approx(sent + 2 * OF.ramp + 4 * OF.hop + OF.word)


def step_by_step(pes: int, step: float, words: int, of: Timing) -> float:
    """`sums_around`, one PE after the other."""
    ready, busy = [0.0] * pes, words * of.word
    ring = [0, *range(1, pes, 2), *reversed(range(2, pes, 2))]
    for root in ring:
        ready = [time + step for time in ready]
        for arm in (range(pes - 1, root, -1), range(root)):
            arrival = -np.inf
            for pe in arm:
                start = max(ready[pe] + of.issue, arrival + of.ramp)
                ready[pe] = start + busy + of.relay
                arrival = start + of.relay + of.ramp + of.hop
            if len(arm):
                own = ready[root] + (of.issue if arm == range(pes - 1, root, -1) else 0)
                ready[root] = max(own, arrival + of.ramp) + busy
            elif arm != range(root):
                ready[root] += of.issue
    return max(ready)


@pytest.mark.parametrize("pes", [2, 3, 8, 21])
@pytest.mark.parametrize("step", [5, 400])
def test_sums_to_a_turning_root_step_by_step(pes, step):
    found = sums_around(pes, step, 6, OF)
    assert found == pytest.approx(step_by_step(pes, step, 6, OF))
    assert found >= pes * (step + OF.issue + 6 * OF.word)


def test_tile_counts_against_an_independent_count():
    counts = _tile_counts(3, 96, 64, 700, 4, 8).reshape(4, 8)
    rng = np.random.default_rng(3)
    mask = np.zeros(96 * 64, np.int64)
    mask[rng.choice(mask.size, 700, replace=False, shuffle=False)] = 1
    mask = mask.reshape(96, 64)
    assert (counts == WeightTiles(96, 64, 1, counts=mask).tile_counts(8, 4)).all()
    assert counts[1, 2] == mask[24:48, 16:24].sum()
    assert counts.sum() == 700


def test_conflicting_banks_cost_a_cycle_per_read():
    assert element_cycles(WSE2, "float32", banks_conflict=True) == 2
    assert element_cycles(WSE2, "float32") < 1.3


def test_vectors_are_paid_in_simd_groups():
    assert mapped_cycles(WSE3, "float16", 1) == mapped_cycles(WSE3, "float16", 8)
    step = mapped_cycles(WSE3, "float16", 9) - mapped_cycles(WSE3, "float16", 8)
    assert step == pytest.approx(2)


def test_a_simd_group_passes_the_memory_ports():
    """8 halves from each of two operands, 16 B in: 2 cycles; results of 16 B over 8 B out too."""
    assert group_cycles(WSE3, "float16") == 2 * 8 * 2 / 16 == 8 * 2 / 8
    assert group_cycles(WSE3, "float32") == group_cycles(WSE2, "float32") == 1
    narrow = load_target("wse3", {"sram.write_bytes_per_cycle": "4"})
    assert group_cycles(narrow, "float16") == 4


@given(st.integers(1, 64))
def test_columns_that_begin_within_a_word_take_more_groups(elements):
    """Against a count word by word: 8 lanes, words of 4 halves, columns one after the other."""
    columns = []
    for column in range(8):
        first, last = column * elements, (column + 1) * elements - 1
        words = last // 4 - first // 4 + 1
        columns.append(-(-words // 2))
    assert column_groups(WSE3, "float16", elements) == pytest.approx(np.mean(columns))


def test_a_summa_step_does_not_depend_on_p():
    tile = {"tile_m": "6", "tile_k": "6", "tile_n": "6"}
    rows = [Row("test", tile | {"p": str(p)}) for p in (2, 720)]
    assert step_cycles(WSE3, rows[0]) == step_cycles(WSE3, rows[1])
    base = {"tile_m": 6, "tile_k": 6, "tile_n": 6}
    (small,), (large,) = (simulate("summa_overlapped", p=p, **base) for p in (100, 700))
    assert large / 700 == pytest.approx(small / 100, rel=0.02)


MORE = [
    ("mesh_gemm", {"p": 32, "tile_m": 4, "tile_k": 4, "tile_n": 4}, ["p", "tile_m", "tile_k"]),
    ("gemv_tree", {"p": 64, "groups": 8, "tile": 4}, ["p", "tile"]),
    ("reduce_chain", {"pes": 64, "words_f32": 64}, ["pes", "words_f32"]),
    (
        "decode_layer",
        {"p": 360, "dim_per_pe": 12, "ffn_per_pe": 40, "groups": 20},
        ["p", "dim_per_pe", "ffn_per_pe"],
    ),
    (
        "prefill_layer",
        {"p": 480, "dim_per_pe": 9, "ffn_per_pe": 30, "seq_per_pe": 9},
        ["p", "dim_per_pe", "ffn_per_pe", "seq_per_pe"],
    ),
    ("shift_blocking", {"p": 16, "tile": 4, "repeats": 10}, ["tile", "repeats"]),
]


@pytest.mark.parametrize(("kernel", "columns", "grows"), MORE)
def test_more_work_is_never_faster(kernel, columns, grows):
    (base,) = simulate(kernel, **columns)
    for column in grows:
        (more,) = simulate(kernel, **(columns | {column: 2 * columns[column]}))
        assert more >= base


def test_more_zeros_are_never_slower():
    speed = [simulate("sparse_speedup", sparsity=s)[0] for s in (0, 0.3, 0.6, 0.9)]
    assert speed[0] == 1
    assert speed == sorted(speed)
    shape = {"grid_w": 8, "grid_h": 8, "n_rows": 64, "k_cols": 64, "vector_len": 36}
    mean, least, most = simulate("spmm_csc_bank_conflict", density_pct=20, **shape)
    assert least < mean < most
    assert mean > simulate("spmm_csc_bank_conflict", density_pct=10, **shape)[0]
    assert (
        mean > simulate("spmm_csc_bank_conflict", density_pct=20, **shape | {"vector_len": 20})[0]
    )


def test_a_constant_nobody_measured_is_refused():
    with pytest.raises(UserError, match=r"software\.mapped_cycles"):
        KERNELS["mesh_gemm"].simulate(
            WSE2, Row("test", {"p": "4", "tile_m": "2", "tile_k": "2", "tile_n": "2"})
        )


@pytest.mark.parametrize("value", ["", "x", "-1", "0", "2.5", "nan"])
def test_a_bad_cell_is_refused_by_name(value):
    with pytest.raises(UserError, match="column pes"):
        simulate("reduce_chain", pes=value, words_f32=4)
