"""Models of bfloat16 weights and samples, against eager torch on the same model."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import weft
from torch import nn
from weft.runtime.data.given import Wanted, as_splits

SETTINGS = ("optimizer.momentum=0", "optimizer.weight_decay=0", "optimizer.lr=0.05")


def narrow_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).bfloat16()


def eager(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> nn.Module:
    rule = torch.optim.SGD(model.parameters(), lr=0.05)
    for sample, label in zip(x.bfloat16(), y, strict=True):
        rule.zero_grad()
        F.cross_entropy(model(sample[None]), label[None]).backward()
        rule.step()
    return model


@pytest.mark.parametrize("executor", ["reference", "jax", "torch-xla"])
def test_it_trains_and_predicts_as_eager_torch_does(executor: str) -> None:
    torch.manual_seed(1)
    x, model = torch.randn(40, 6), narrow_model()
    y = x[:, :3].argmax(1)
    example = x[:1].bfloat16(), y[:1]
    plan = weft.compile(deepcopy(model), example, F.cross_entropy, "wse2")
    started = weft.predict(plan, x.numpy(), executor=executor)[0]
    expected = model(x.bfloat16()).float().detach().numpy()
    assert np.abs(started - expected).max() < 0.02  # a rounding or two of numbers of about one
    data = x.numpy(), y.numpy(), x[:4].numpy(), y[:4].numpy()
    order = as_splits(data, Wanted(("x", "label"), (6,), 0)).order(0, 0)
    run = weft.train(plan, data, executor=executor, mode="sequential", settings=SETTINGS, epochs=1)
    made = dict(eager(deepcopy(model), x[order], y[order]).named_parameters())
    for name, value in run.tensors.items():
        moved = (made[name] - dict(model.named_parameters())[name]).float().norm()
        assert value.dtype == torch.bfloat16
        assert (value - made[name]).float().norm() < 0.2 * moved, name
