"""The yardstick of accuracy: batches of 128, SGDM and BatchNorm in eager torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.cifar_runs import TORCH, StoppedError, made_run
from weft.backend.nn import resnet
from weft.bench.studies.cifar import by_torch
from weft.bench.studies.cifar.by_torch import run_by_torch
from weft.runtime.data import Augmented, Splits, rows_of
from weft.runtime.data.dataset import epoch_order


def test_torch_goes_on_after_an_epoch_as_if_it_had_not_stopped(
    images: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_by_torch(TORCH, 3, images, made_run(tmp_path / "whole"))
    assert whole.loss == pytest.approx(loss_by_hand(images), rel=1e-4)
    folder, step = made_run(tmp_path / "stopped"), by_torch.step
    done: list[int] = []

    def stopping(*arguments: object) -> None:
        if len(done) == 4:  # within the second epoch of three steps
            raise StoppedError
        done.append(0)
        step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(by_torch, "step", stopping)
    with pytest.raises(StoppedError):
        run_by_torch(TORCH, 3, images, folder)
    monkeypatch.setattr(by_torch, "step", step)
    again = run_by_torch(TORCH, 3, images, folder)
    assert (again.accuracy, again.loss) == (whole.accuracy, whole.loss)
    assert again.samples == whole.samples == 3 * 270


def loss_by_hand(images: Splits) -> float:
    """Three epochs of 128, 128 and 14 images, as torch's own parts do it."""
    held = images.with_validation(0.1)
    torch.manual_seed(TORCH.seed)
    model = resnet(8, normalization="batch")
    optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9, weight_decay=2e-4)
    steps = 3 * 3  # a warm-up of 5 % is none of them
    decayed = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    train = Augmented(held.train, TORCH.seed, 4, flip=True)
    for epoch in range(3):
        for part in np.split(epoch_order(270, epoch, TORCH.seed), (128, 256)):
            x, y = map(torch.from_numpy, train.read(part, epoch))
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            decayed.step()
    assert held.validation is not None
    x, y = map(torch.from_numpy, rows_of(held.validation))
    return float(torch.nn.functional.cross_entropy(model.eval()(x), y).detach())
