"""Published kernels at sizes drawn at random, against what links, ports and arithmetic allow.

Every bound is counted here: multiply-adds of a PE at the peak of its vector unit, words through the
link or ramp that carries most, hops of the longest way. And twice as much of anything takes no less
time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.compiler.targets import Target, load_target
from weft.sim.validation.row import Row
from weft.study.published import KERNELS

TARGETS = {
    name: replace(target, sram=replace(target.sram, bytes_per_pe=2**40))
    for name, target in ((name, load_target(name)) for name in ("wse2", "wse3"))
}
Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Case:
    """The columns of a kernel with their least and most, and the least cycles of each figure.

    `fixed` columns say how, not how much.
    """

    columns: Mapping[str, tuple[int, int]]
    bound: Callable[[Target, Sizes], float]
    fixed: tuple[str, ...] = ()


def _peak(target: Target, dtype: str, macs: float) -> float:
    return macs / target.arithmetic(dtype).macs_per_cycle


def _sum(target: Target, of: Sizes) -> float:
    return max(of["words_f32"], (of["pes"] - 1) * target.noc.hop_cycles)


def _square(target: Target, of: Sizes) -> float:
    m, k, n = (of[f"tile_{axis}"] for axis in "mkn")
    words = max(m * k, k * n) * 2 // 4
    return of["p"] * max(_peak(target, "float16", m * k * n), words)


def _vector(target: Target, of: Sizes) -> float:
    hops = (of["p"] - 1) * target.noc.hop_cycles
    return max(_peak(target, "float16", of["tile"] ** 2), hops, ceil(of["tile"] / 2))


def _library(target: Target, of: Sizes) -> float:
    ways = 2 * (of["p"] - 1) * target.noc.hop_cycles
    return max(_peak(target, "float32", of["words_f32"] ** 2) + 2 * of["words_f32"], ways)


def _shift(target: Target, of: Sizes) -> float:
    return of["repeats"] * 2 * ceil(of["tile"] ** 2 / 2)


def _decode(target: Target, of: Sizes) -> float:
    dim, ffn = of["dim_per_pe"], of["ffn_per_pe"]
    keys = ceil(of["kv"] / of["p"])
    macs = 4 * dim * dim + 3 * dim * ffn + 2 * dim * keys
    return _peak(target, "float16", macs) + 4 * (of["p"] - 1) * target.noc.hop_cycles


def _feed_forward(target: Target, of: Sizes) -> float:
    macs = 3 * (of["dim"] // of["p"]) * (of["ffn"] // of["p"])
    ways = 2 * (of["p"] - 1) * target.noc.hop_cycles
    return of["layers"] * (_peak(target, "float16", macs) + ways)


def _attention(target: Target, of: Sizes) -> float:
    """Queries, keys, values and output projection; scores and weighted values of four heads."""
    pes, dim = of["p"] ** 2, of["dim"]
    macs = dim * (4 + 2 * 2) * 16 + 4 * 16 * dim + 2 * 4 * 16 * of["context"]
    ways = 4 * (of["p"] - 1) * target.noc.hop_cycles
    return _peak(target, "float16", macs / pes) + ways


def _layers(target: Target, of: Sizes) -> float:
    feed_forward = _feed_forward(target, of | {"layers": 1})
    return ceil(of["layers"] / 4) * (feed_forward + _attention(target, of))


def _prefill(target: Target, of: Sizes) -> float:
    seq, dim, ffn = (of[f"{name}_per_pe"] for name in ("seq", "dim", "ffn"))
    macs = seq * (4 * dim * dim + 2 * seq * dim + 3 * dim * ffn)
    return of["p"] * _peak(target, "float16", macs)


def _sparse(target: Target, of: Sizes) -> float:
    """The fullest PE has the mean number of non-zeros at least, another figure may have fewer."""
    return 0.0


SIDE = {"tile_m": (1, 12), "tile_k": (1, 12), "tile_n": (1, 12)}
HEADS = {"heads": (4, 4), "kv_heads": (2, 2), "head_dim": (16, 16), "context": (64, 512)}
CASES = {
    "reduce_chain": Case({"pes": (2, 300), "words_f32": (1, 3000)}, _sum),
    "reduce_two_phase": Case(
        {"pes": (2, 300), "words_f32": (1, 3000), "group_size": (1, 20)}, _sum, ("group_size",)
    ),
    "mesh_gemm": Case({"p": (2, 100), **SIDE}, _square),
    "summa_overlapped": Case({"p": (2, 100), **SIDE}, _square),
    "fmach_loop": Case(
        {"p": (2, 30), **SIDE}, lambda target, of: of["p"] * (of["tile_m"] * of["tile_k"] * 2 // 4)
    ),
    "gemv_tree": Case({"p": (2, 200), "groups": (2, 12), "tile": (1, 40)}, _vector, ("groups",)),
    "gemv_chain_reduce_broadcast": Case({"p": (2, 200), "words_f32": (1, 40)}, _library),
    "shift_blocking": Case({"p": (2, 200), "tile": (1, 30), "repeats": (1, 40)}, _shift),
    "decode_layer": Case(
        {"p": (20, 60), "dim_per_pe": (2, 12), "ffn_per_pe": (2, 24), "kv": (64, 2048)}, _decode
    ),
    "feed_forward_block": Case(
        {"p": (8, 40), "dim": (80, 400), "ffn": (80, 800), "layers": (1, 9)},
        _feed_forward,
        ("p",),
    ),
    "attention_block": Case({"p": (8, 24), "dim": (40, 200), **HEADS}, _attention, ("p", *HEADS)),
    "steady_pipeline": Case(
        {"p": (8, 24), "dim": (40, 200), "ffn": (40, 400), "layers": (1, 12), **HEADS},
        _layers,
        ("p", *HEADS),
    ),
    "prefill_layer": Case(
        {"p": (4, 60), "seq_per_pe": (1, 9), "dim_per_pe": (1, 9), "ffn_per_pe": (1, 18)}, _prefill
    ),
    "prefill_block": Case(
        {"p": (4, 12), "seq_per_pe": (1, 9), "dim_per_pe": (2, 8), "ffn_per_pe": (1, 18)},
        _prefill,
    ),
    "spmm_csc_conflict_free": Case(
        {
            "grid_w": (2, 8),
            "grid_h": (2, 8),
            "n_rows": (64, 256),
            "k_cols": (64, 256),
            "vector_len": (8, 80),
            "density_pct": (5, 50),
        },
        _sparse,
        ("grid_w", "grid_h", "n_rows", "k_cols"),
    ),
}
EXAMPLES = {
    "fmach_loop": 60,
    "shift_blocking": 60,
    "prefill_layer": 60,
    "decode_layer": 2,
    "feed_forward_block": 4,
    "attention_block": 2,
    "prefill_block": 3,
    "steady_pipeline": 2,
}
"""Where it is not 5: plans are traced for every size, the first have none, the last are large."""


def cycles(name: str, of: Sizes) -> tuple[float, ...]:
    kernel = KERNELS[name]
    row = Row("test", {column: str(size) for column, size in of.items()})
    return kernel.simulate(TARGETS[kernel.target], row)


@pytest.mark.parametrize("name", CASES)
def test_no_kernel_beats_the_machine_and_twice_as_much_never_takes_less(name):
    case, kernel = CASES[name], KERNELS[name]
    sizes = st.fixed_dictionaries({c: st.integers(*ends) for c, ends in case.columns.items()})
    growing = st.sampled_from([c for c in case.columns if c not in case.fixed])

    @settings(max_examples=EXAMPLES.get(name, 5), deadline=None, derandomize=True)
    @given(sizes, growing)
    def check(of: dict[str, int], column: str) -> None:
        if "groups" in of:
            of["groups"] = min(of["groups"], of["p"])
        found = cycles(name, of)
        least = case.bound(TARGETS[kernel.target], of)
        assert all(value >= least - 1e-6 for value in found)
        larger = cycles(name, of | {column: 2 * of[column]})
        assert all(a <= b + 1e-6 for a, b in zip(found, larger, strict=True))

    check()


@settings(max_examples=4, deadline=None, derandomize=True)
@given(st.integers(4, 40), st.integers(5, 60), st.integers(4, 90), st.sampled_from([2, 4, 8]))
def test_the_fastest_pe_of_a_sparse_product_is_no_slower_than_the_mean_one(rows, pct, width, grid):
    sizes = {"grid_w": grid, "grid_h": grid, "n_rows": 8 * rows, "k_cols": 128}
    of = sizes | {"vector_len": width, "density_pct": pct}
    for name in ("spmm_csc_conflict_free", "spmm_csr_conflict_free"):
        mean, least, most = cycles(name, of)
        assert least <= mean <= most
        nonzeros = pct / 100 * of["n_rows"] * of["k_cols"] / grid**2
        assert most >= _peak(TARGETS["wse2"], "float32", nonzeros * width)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.sampled_from([0.0, 0.25, 0.5, 0.625, 0.75, 0.875, 0.9]))
def test_a_speed_up_is_at_most_that_of_the_arithmetic(sparsity):
    row = Row("test", {"sparsity": str(sparsity)})
    (found,) = KERNELS["sparse_speedup"].simulate(TARGETS["wse2"], row)
    assert 1 <= found <= 1 / (1 - sparsity) + 1e-9


def test_every_kernel_has_properties() -> None:
    covered = {*CASES, "sparse_speedup", "spmm_csr_conflict_free"}
    formats = {"spmm_csc_bank_conflict", "spmm_coo_bank_conflict", "gemm_strided"}
    assert covered | formats == {*KERNELS}
