"""Tilings that are asked for: what no stage can have is refused by name."""

from __future__ import annotations

import pytest
import torch
from helpers.stages_of import stages_of
from torch import nn
from weft.backend.errors import UserError
from weft.compiler.mapping.map import map_kernels
from weft.compiler.mapping.pricing import Pricing
from weft.compiler.plan.stage_record import Tiling
from weft.compiler.plan.training import Training
from weft.compiler.targets import load_target
from weft.study.published.measured import stages_of as untrained

WSE2 = load_target("wse2")


class Two(nn.Module):
    """Two layers, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = (nn.Parameter(torch.empty(32, 32)) for _ in range(2))

    def forward(self, x):
        return x @ self.one @ self.two


def priced(tiling: Tiling):
    (stage,) = (stages := untrained(Two, ((1, 32),), torch.float16)).stages
    return Pricing(stages, WSE2, Training()).reprice(stage, tiling=tiling)


@pytest.mark.parametrize(
    ("tiling", "where", "expected"),
    [
        (Tiling(8, 1, 4, algorithm="all-reduce"), "tiling of ", "as many rows as columns"),
        (Tiling(8, 2, 8, algorithm="all-reduce"), "space_split", "1 for all-reduce"),
        (Tiling(8, 1, 4, algorithm="ring"), "tiling of ", "three equal splits"),
        (Tiling(8, 1, 4, algorithm="star"), "algorithm", "one of multicast"),
        (Tiling(0, 1, 4), "in_split", "at least 1"),
        (Tiling(8, 1, -4), "out_split", "at least 1"),
        (Tiling(8, 1, 4, groups=9), "groups", "one for each PE of a line at most"),
        (Tiling(8, 1, 4, interleaved=True), "interleaved", "false"),
        (Tiling(2, 1, 800), "tiling of ", "at most 994 x 750 PEs, as wse2"),
    ],
)
def test_a_tiling_that_cannot_be_is_refused_with_what_is_expected(tiling, where, expected):
    with pytest.raises(UserError) as refused:
        priced(tiling)
    assert where in refused.value.where
    assert expected in refused.value.expected


def test_vectors_on_lines_of_a_square_are_priced():
    assert len(priced(Tiling(8, 1, 8, algorithm="all-reduce", groups=2)).tilings) == 1


def test_a_tiling_for_no_stage_is_refused():
    stages = stages_of(nn.Sequential(nn.Linear(4, 4)), torch.zeros(1, 4))
    with pytest.raises(UserError, match=r"unknown module of a tiling 'encoder\.\*'"):
        map_kernels(stages, WSE2, Training(tilings={"encoder.*": Tiling(2, 1, 2)}))
