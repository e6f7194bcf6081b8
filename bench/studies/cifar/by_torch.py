"""The yardstick of accuracy: batches of 128, SGDM and BatchNorm in eager torch.

Weights at the start, the part for validation, the order of the samples and how they are changed are
those of the runs by weft with the same seed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....backend.nn import resnet
from ....backend.optim import Cosine, LinearWarmup
from ....runtime.data import Augmented, Samples, Splits, rows_of
from ....runtime.training.scores import class_score
from ..training import RunSetting
from .kept import Clock, RunOutcome
from .recipe import BATCH, DECAY, DEPTH, MOMENTUM, PAD, RATE, VALIDATION, WARMUP


def run_by_torch(setting: RunSetting, epochs: int, data: Splits, folder: Path) -> RunOutcome:
    """Train and score; after each epoch all that it goes on from is written to `folder`."""
    splits = data.with_validation(VALIDATION)
    train = Augmented(splits.train, setting.seed, PAD, flip=True)
    torch.manual_seed(setting.seed)
    model = resnet(DEPTH, normalization="batch")
    optimizer = torch.optim.SGD(model.parameters(), RATE, MOMENTUM, weight_decay=DECAY)
    clock, path = Clock(folder / "seconds"), folder / "epochs.pt"
    steps = -(-len(train) // BATCH)
    warmup = round(WARMUP * epochs * steps)
    schedule = LinearWarmup(warmup, Cosine(RATE * setting.factor, epochs * steps))
    for epoch in range(_restored(path, model, optimizer), epochs):
        clock.keep()
        order = splits.order(epoch, setting.seed)
        for number in range(steps):
            optimizer.param_groups[0]["lr"] = schedule(epoch * steps + number)
            rows = train.read(order[number * BATCH : (number + 1) * BATCH], epoch)
            step(model, optimizer, *map(torch.from_numpy, rows))
        clock.keep()
        _keep(path, model, optimizer, epoch + 1)
    part = splits.test if setting.part == "test" else splits.validation
    assert part is not None
    accuracy, loss = _scored(model, part)
    finite = bool(np.isfinite(loss))
    return RunOutcome(
        epochs * len(train), accuracy if finite else None, loss if finite else None,
        clock.seconds, 0,
    )  # fmt: skip


def step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    """One update on a batch and its labels."""
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()
    optimizer.step()


def _scored(model: nn.Module, part: Samples) -> tuple[float, float]:
    x, y = rows_of(part)
    model.eval()
    with torch.no_grad():
        parts = [model(rows) for rows in torch.from_numpy(x).split(500)]
    model.train()
    return class_score(torch.cat(parts).numpy(), y, 1)


def _restored(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """The epochs that a former process has done."""
    if not path.exists():
        return 0
    kept: dict[str, Any] = torch.load(path, weights_only=True)
    model.load_state_dict(kept["model"])
    optimizer.load_state_dict(kept["optimizer"])
    return kept["epochs"]


def _keep(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, epochs: int) -> None:
    beside = path.with_suffix(".new")
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epochs": epochs}
    torch.save(state, beside)
    beside.replace(path)
