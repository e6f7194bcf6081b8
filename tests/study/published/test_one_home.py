"""A mechanism's formula has one home: changed there, plans and measured rows move alike."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import torch
import weft
from torch import nn
from weft.compiler.machine import collectives, exchange, flights, instruction, local_product
from weft.compiler.plan.stage_record import Tiling
from weft.compiler.targets import load_target
from weft.sim.validation.row import Row
from weft.study.published import KERNELS


def in_python(module):
    """A module again, with what numba compiles as it is written."""
    spec = importlib.util.spec_from_file_location(module.__name__, module.__file__)
    again = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("numba.njit", lambda **_: lambda function: function)
        spec.loader.exec_module(again)
    return again


FLIGHTS = in_python(flights)
SQUARE = {"p": 8, "tile_m": 8, "tile_k": 8, "tile_n": 8}
SPARSE = {
    "grid_w": 8,
    "grid_h": 8,
    "n_rows": 64,
    "k_cols": 64,
    "vector_len": 36,
    "density_pct": 20,
}
SUM = {"pes": 64, "words_f32": 64}
CASES = {
    "starts": (instruction.written_cycles, "spmm_csc_bank_conflict", SPARSE),
    "ports": (
        instruction.multiply_add_cycles,
        "spmm_csc_bank_conflict",
        SPARSE,
    ),
    "mapped": (instruction.mapped_cycles, "mesh_gemm", SQUARE),
    "local product": (local_product.mapped_product_cycles, "mesh_gemm", SQUARE),
    "exchange": (exchange.overlapped_cycles, "mesh_gemm", SQUARE),
    "loops": (local_product.looped, "spmm_csc_bank_conflict", SPARSE),
    "broadcast": (
        FLIGHTS._broadcast,
        "gemv_chain_reduce_broadcast",
        {"p": 48, "pes": 48, "words_f32": 6, "tile": 6},
    ),
    "chain": (FLIGHTS._chain, "reduce_chain", SUM),
    "two phases": (FLIGHTS._two_phase, "reduce_two_phase", SUM | {"group_size": 8}),
    "tree": (FLIGHTS._tree, "gemv_tree", {"p": 48, "groups": 8, "tile": 4}),
}
"""Mechanism, and a row that it is a part of."""

PLANS = {
    "local product": (Tiling(8, 8, 8, algorithm="ring"), 64),
    "exchange": (Tiling(8, 8, 8, algorithm="ring"), 64),
    "broadcast": (Tiling(8, 1, 4, algorithm="all-reduce", groups=1), 1),
    "chain": (Tiling(8, 1, 4, groups=1), 1),
    "two phases": (Tiling(8, 1, 4, groups=3), 1),
    "tree": (Tiling(8, 1, 4, algorithm="all-reduce", groups=2), 1),
}
"""How a user's layer is mapped whose cycles the mechanism is a part of, and its tokens."""


@pytest.fixture(autouse=True)
def flights_in_python(monkeypatch):
    """Compiled formulas have each other built in."""
    monkeypatch.setattr(collectives, "flights", FLIGHTS)


def raised(monkeypatch, function):
    """`function` by a tenth more, wherever the package calls it."""

    def more(*args, **options):
        return 1.1 * function(*args, **options)

    for name, module in [*sys.modules.items(), (FLIGHTS.__name__, FLIGHTS)]:
        if name.startswith("weft.") and getattr(module, function.__name__, None) is function:
            monkeypatch.setattr(module, function.__name__, more)
    assert function.__module__.startswith("weft.compiler.machine.")


def row_of(kernel, columns):
    found = KERNELS[kernel]
    row = Row("test", {key: str(value) for key, value in columns.items()})
    return [figure.value for figure in found.figures(load_target(found.target), row)]


def layer_cycles(tiling, tokens):
    """Forward cycles of a user's linear layer in a plan whose tiling is given."""
    model = nn.Sequential(nn.Linear(64, 64, bias=False))
    sample = torch.zeros(1, tokens, 64), torch.zeros(1, tokens, 64)
    options = weft.Options(tilings={"0": tiling})
    plan = weft.compile(model, sample, nn.functional.mse_loss, "wse3", options)
    (operator,) = [
        operator
        for stage in plan.document.stages
        for operator in stage.operators
        if operator.phase == "forward" and operator.family == "linear"
    ]
    return operator.cycles


@pytest.mark.parametrize("mechanism", CASES)
def test_a_mechanism_moves_its_rows(mechanism, monkeypatch):
    """By no more than a tenth, and those figures are records of plans."""
    function, kernel, columns = CASES[mechanism]
    before = row_of(kernel, columns)
    raised(monkeypatch, function)
    after = row_of(kernel, columns)
    assert all(a < b <= 1.11 * a for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("mechanism", PLANS)
def test_the_same_mechanism_moves_the_plan_of_a_users_layer(mechanism, monkeypatch):
    before = layer_cycles(*PLANS[mechanism])
    raised(monkeypatch, CASES[mechanism][0])
    after = layer_cycles(*PLANS[mechanism])
    assert before < after <= 1.11 * before + 1
