"""The loop that a torch user writes by hand, and what weft trains on the same samples in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import weft
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from weft.compiler.plan.plan import Plan
from weft.runtime.training.report import RunReport

RATE = 0.05
SETTINGS = (f"optimizer.lr={RATE}", "optimizer.momentum=0.9", "optimizer.weight_decay=0.01")


def by_hand(model: nn.Module, loss: Callable, columns: Sequence[Tensor]) -> list[float]:
    """Losses of one epoch of SGD at batch size 1, which leaves the model trained."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=RATE, momentum=0.9, weight_decay=0.01)
    losses = []
    for row in zip(*columns, strict=True):
        *inputs, target = (value[None] for value in row)
        optimizer.zero_grad()
        value = loss(model(*inputs), target)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


def in_order(plan: Plan, columns: Sequence[Tensor], test: Sequence[Tensor] = ()) -> RunReport:
    """The same epoch by the reference executor, without delay; `test` samples are scored."""
    parts = {"train": DataLoader(TensorDataset(*columns), shuffle=False)}
    data = parts | ({"test": tuple(test)} if test else {})
    return weft.train(
        plan, data, executor="reference", mode="sequential", epochs=1, settings=SETTINGS
    )


def assert_trained_alike(make: Callable[[], nn.Module], loss: Callable, *columns: Tensor) -> None:
    """Losses and every parameter and buffer are those of the loop by hand."""
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        models.append(make())
    ours, theirs = models
    plan = weft.compile(ours, tuple(column[:1] for column in columns), loss)
    run = in_order(plan, columns)
    np.testing.assert_allclose(run.losses, by_hand(theirs, loss, columns), rtol=1e-5, atol=1e-6)
    run.write_back(ours)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-4, atol=1e-5)
