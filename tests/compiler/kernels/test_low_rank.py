"""Which products are factors of a frozen weight, and that together they are never slower."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from weft.backend.nn.lora import LoRA, adapt
from weft.compiler.capture.capture import capture
from weft.compiler.kernels.layout import find_layout
from weft.compiler.kernels.low_rank import Factors
from weft.compiler.kernels.optimizer import UpdateStep
from weft.compiler.kernels.stage import StageTable, price_stage
from weft.compiler.plan.program import Stage
from weft.compiler.recipes.network import class_loss
from weft.compiler.stages.cut import cut
from weft.compiler.targets.load import load_target

WIDTH, TOKENS, RANK = 128, 32, 8


def last_layer(**options: Any) -> Stage:
    """The stage of the second of two adapted layers."""
    torch.manual_seed(0)
    layers = nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH, bias=False)
    model = adapt(nn.Sequential(*layers), LoRA(("*",), rank=RANK, **options))
    sample = torch.zeros(1, TOKENS, WIDTH), torch.zeros(1, TOKENS, dtype=torch.long)
    return cut(capture(model, sample, class_loss)).stages[1]


def test_factors_are_found_beside_their_weight() -> None:
    stage = last_layer()
    names = [name.removeprefix("2.") for name in stage.parameters]
    (base,), (beside,) = zip(*find_layout(stage.program).factors.items(), strict=True)
    assert names[base] == "base_layer.weight"
    assert beside == Factors(names.index("lora_A.weight"), names.index("lora_B.weight"))


def test_dropout_makes_another_operand() -> None:
    assert find_layout(last_layer(dropout=0.1).program).factors == {}


def table(stage: Stage, monkeypatch: pytest.MonkeyPatch, *, alone: bool) -> StageTable:
    layout = find_layout(stage.program)
    if alone:
        monkeypatch.setattr("weft.compiler.kernels.stage.joined", lambda found, *_: list(found))
    weights = {index: matrix.tiles for index, matrix in layout.matrices.items()}
    target = load_target("wse3")
    return price_stage(stage, stage.program, layout, weights, target, UpdateStep(2))


def test_together_they_take_no_more_cycles_and_no_less_than_the_weight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Under every tiling; work, weights and what is stored stay as they are."""
    stage = last_layer()
    both, apart = (table(stage, monkeypatch, alone=alone) for alone in (False, True))
    assert (both.total_cycles() <= apart.total_cycles()).all()
    assert (both.total_cycles() < apart.total_cycles()).mean() > 0.2
    base = {o.name: o for o in both.operators if o.macs_dense == WIDTH * WIDTH * TOKENS}
    for operator in apart.operators:
        if operator.name in base and operator.phase == base[operator.name].phase:
            assert (base[operator.name].compute >= operator.compute).all()
    for name in ("weights", "optimizer", "gradient", "saved_bytes"):
        np.testing.assert_array_equal(getattr(both.memory, name), getattr(apart.memory, name))
    assert (both.memory.workspace >= apart.memory.workspace).all()
    macs = [sum(operator.macs_dense for operator in of.operators) for of in (both, apart)]
    assert macs[0] == macs[1]
