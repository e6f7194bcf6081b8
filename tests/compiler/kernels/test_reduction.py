"""Sums and soft-max: over how many PEs they go, by where a product left what is summed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from weft.compiler.capture.capture import capture
from weft.compiler.machine.tilings import ALL_REDUCE
from weft.compiler.mapping.pricing import Pricing
from weft.compiler.pipeline import GraphCompiler, Options
from weft.compiler.plan.stage_record import Tiling
from weft.compiler.plan.training import Training
from weft.compiler.targets import load_target
from weft.study.published.measured import stages_of

WSE3 = load_target("wse3", {"grid.rows": "64", "grid.columns": "64"})


class Scores(nn.Module):
    """Shares of `context` values for each of `heads` x `queries`, of a product with keys."""

    def __init__(self, heads: int, context: int, size: int) -> None:
        super().__init__()
        self.keys = nn.Parameter(torch.empty(heads, size, context))

    def forward(self, query):
        return torch.softmax(torch.bmm(query.flatten(0, 1), self.keys) * 0.5, -1)


class Looked(nn.Module):
    """The same with keys that are computed."""

    def forward(self, query, keys):
        return torch.softmax(torch.bmm(query.flatten(0, 1), keys.flatten(0, 1)) * 0.5, -1)


class Split(nn.Module):
    """A norm of each head of a layer's results."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads, self.layer = heads, nn.Linear(size, size, bias=False)

    def forward(self, x):
        return self.layer(x).unflatten(-1, (self.heads, -1)).amax(-1)


class Attention(nn.Module):
    """Queries, keys and values of one head, by a layer each."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(32, 32, bias=False), nn.Linear(32, 32, bias=False)

    def forward(self, x):
        return torch.softmax(self.query(x) @ self.key(x).transpose(1, 2), -1) @ x


class Normed(nn.Module):
    """A norm between two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(32, 24), nn.LayerNorm(24), nn.Linear(24, 8)

    def forward(self, x):
        return self.last(self.norm(self.first(x)))


class Summed(nn.Module):
    """Sums over all tokens."""

    def forward(self, x):
        return x.sum(1)


LAYER_NORM = "aten.native_layer_norm.default"


def on_a_square(module, shape):
    """A stage's table with one tiling, of 12 x 12 PEs."""
    stages = stages_of(lambda: module, (shape,), torch.float32)
    (stage,) = stages.stages
    return Pricing(stages, WSE3, Training()).reprice(stage, tiling=Tiling(12, 1, 12))


def trained_table(module, sample):
    """Of the one stage of a module that is trained."""
    graph = capture(nn.Sequential(module), (sample, torch.zeros_like(module(sample))), F.mse_loss)
    stages = GraphCompiler(graph, Options(stages=("0",))).stages_for_any_machine()
    stage = stages.stages[0]
    return Pricing(stages, WSE3, Training()).table(stage)


def table_of(module, *shapes):
    stages = stages_of(module, shapes, torch.float16)
    (stage,) = stages.stages
    return Pricing(stages, WSE3, Training()).table(stage)


def holding(features: int, pes: np.ndarray) -> np.ndarray:
    """PEs of a line that hold any of so many features, in equal slices but for the last."""
    return np.array([len(range(0, features, -(-features // int(n)))) for n in pes])


def operator(table, name: str, phase: str = "forward"):
    (found,) = (o for o in table.operators if o.operator == name and o.phase == phase)
    return found


@pytest.mark.parametrize("queries", [1, 4, 40])
def test_a_soft_max_crosses_the_columns_that_its_product_left_it_on(queries):
    """A word from either end of a row has to get to the other one, twice: for the largest value and
    for the sum."""
    table = table_of(lambda: Scores(8, 256, 32), (1, 8, queries, 32))
    tilings, found = table.tilings, operator(table, "aten._softmax.default")
    crossed = holding(256, tilings.width) - 1
    assert (found.network >= 2 * crossed * WSE3.noc.hop_cycles).all()
    assert (found.sums[0].along == holding(256, tilings.width)).all()


def test_every_line_that_sums_has_all_results_of_its_rows():
    """Results that lie on so many rows of PEs, all of them counted, are those that there are."""
    heads, queries = 8, 4
    table = table_of(lambda: Scores(heads, 256, 32), (1, heads, queries, 32))
    (sums,), tilings = operator(table, "aten._softmax.default").sums, table.tilings
    lines = tilings.algorithm == ALL_REDUCE
    rows = np.where(lines, np.minimum(heads, tilings.in_split), tilings.height)
    halves = 2 * sums.words * rows // sums.across
    assert (halves >= heads * queries).all()
    assert (sums.words <= -(-heads * queries // np.minimum(rows, heads * queries) // 2) + 1).all()


def test_a_part_of_the_features_lies_on_a_part_of_the_columns():
    table = table_of(lambda: Split(256, 4), (1, 6, 256))
    (sums,), width = operator(table, "aten.amax.default").sums, table.tilings.width
    assert (sums.along == -(-64 // -(-256 // width))).all()


@pytest.mark.parametrize("queries", [1, 4])
def test_a_batch_of_weights_is_priced_as_one_of_activations_that_lie_there(queries):
    """Before, all of a batch were one product whose results had the words of a single one."""
    sizes = (1, 8, queries, 32), (1, 8, 32, 256)
    weights = table_of(lambda: Scores(8, 256, 32), sizes[0])
    computed = table_of(Looked, *sizes)
    own, other = (operator(t, "aten.bmm.default") for t in (weights, computed))
    tilings = computed.tilings
    known = {tilings.tiling(n): n for n in range(len(tilings))}
    pairs = [
        (at, known[weights.tilings.tiling(at)])
        for at in range(len(weights.tilings))
        if weights.tilings.tiling(at) in known
    ]
    assert len(pairs) > 100
    here, there = map(np.array, zip(*pairs, strict=True))
    assert (own.compute[here] == other.compute[there]).all()
    assert (own.network[here] <= other.network[there]).all()
    assert own.macs_dense == other.macs_dense == 8 * queries * 32 * 256


def test_the_backward_sums_over_the_columns_too():
    """The gradient of a soft-max comes of a product."""
    table = trained_table(Attention(), torch.zeros(1, 16, 32))
    (sums,) = operator(table, "aten.sum.dim_IntList", "backward").sums
    assert (sums.along == holding(16, table.tilings.width)).all()


def test_the_gradient_of_a_norm_before_a_layer_is_summed_over_the_rows_with_the_features():
    """A layer's input gradient lies with the rows that hold its weights."""
    table = trained_table(Normed(), torch.zeros(1, 16, 32))
    sums = [o.sums[0] for o in table.operators if o.name in ("sum_2", "sum_3")]
    tilings, plain = table.tilings, ~table.tilings.is_square
    assert plain.any()
    for one in sums:
        assert (one.across == holding(24, tilings.in_split))[plain].all()
        assert (one.spacing == tilings.in_spacing)[plain].all()
        assert (one.along == holding(24, tilings.width))[~plain].all()


def test_a_group_lies_on_as_many_pes_however_many_sums_it_has():
    """12 tokens of 48 features on 144 PEs, 4 to a PE: a token is on 12 of them, and two sums of it
    are two words, not two results on 6 PEs each."""
    (sums,) = operator(on_a_square(nn.LayerNorm(48), (1, 12, 48)), LAYER_NORM).sums
    assert (sums.along[0], sums.across[0], sums.words[0]) == (12, 1, 2)


def test_a_result_lies_on_the_pes_that_its_elements_fill():
    """47 sums of 12 numbers each, 4 to a PE: 3 PEs, though 144 PEs would have 3.06 for each."""
    (sums,) = operator(on_a_square(Summed(), (1, 12, 47)), "aten.sum.dim_IntList").sums
    assert (sums.along[0], sums.across[0]) == (3, 1)


def test_a_sum_of_one_number_crosses_no_link():
    found = operator(on_a_square(Summed(), (1, 1, 48)), "aten.sum.dim_IntList")
    assert found.network[0] == 0
