"""Published kernels: bad rows, monotony, and programs written out here."""

from __future__ import annotations

import numpy as np
import pytest
from weft.backend.errors import UserError
from weft.compiler.kernels.nonzeros import expected_extreme
from weft.compiler.targets import load_target
from weft.sim.validation.row import Row
from weft.study.published import KERNELS

WSE2, WSE3 = load_target("wse2"), load_target("wse3")


def simulate(kernel: str, **columns: object) -> tuple[float, ...]:
    entry = KERNELS[kernel]
    row = Row("test", {key: str(value) for key, value in columns.items()})
    return entry.simulate(load_target(entry.target), row)


def test_extremes_of_random_masks_are_as_expected():
    """768 x 3072 weights, one in ten, on 12 x 256 PEs: against drawn masks, for few and for many
    non-zeros on a PE. Twice as many masks would not move the means by a non-zero."""
    rng = np.random.default_rng(0)
    for size, density, tiles in ((768, 0.1, 3072), (512, 0.05, 144), (4096, 0.3, 512)):
        drawn = rng.binomial(size, density, (200, tiles))
        assert expected_extreme(size, density, tiles) == pytest.approx(
            drawn.max(axis=1).mean(), abs=1.2
        )
        assert expected_extreme(size, density, tiles, least=True) == pytest.approx(
            drawn.min(axis=1).mean(), abs=1.2
        )


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
    with pytest.raises(UserError, match=r"software\.[a-z_]+_cycles"):
        KERNELS["mesh_gemm"].simulate(
            WSE2, Row("test", {"p": "4", "tile_m": "2", "tile_k": "2", "tile_n": "2"})
        )


@pytest.mark.parametrize("value", ["", "x", "-1", "0", "2.5", "nan"])
def test_a_bad_cell_is_refused_by_name(value):
    with pytest.raises(UserError, match="column pes"):
        simulate("reduce_chain", pes=value, words_f32=4)
