"""Models without values: the share of zeros stands for a mask."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from weft import Options
from weft.backend.errors import UserError
from weft.compiler.pipeline import compile_model
from weft.sparsity import Sparsifier

X = torch.zeros(1, 64, device="meta")


def _model() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 64, bias=False)).to("meta")


def test_a_sparsifier_on_the_meta_device_gives_a_plan_its_share_of_zeros() -> None:
    model = _model()
    config = {"algorithm": "rigl", "sparsity": 0.9, "update": {"freq": 10}}
    Sparsifier(model, torch.optim.SGD(model.parameters(), 0.1), config)
    found = compile_model(model, (X, X), F.mse_loss).document.stages[0]
    share = Options(masks={"0.weight": 1 - 409 / 4096}, dynamic=("0.weight",))
    assert found.nonzeros.total == 409
    assert found == compile_model(_model(), (X, X), F.mse_loss, options=share).document.stages[0]


def test_a_mask_without_values_is_refused() -> None:
    masks = {"0.weight": torch.empty(64, 64, dtype=torch.bool, device="meta")}
    with pytest.raises(UserError, match=r"masks=\{'0.weight': 0.9\}"):
        compile_model(_model(), (X, X), F.mse_loss, options=Options(masks=masks))
