"""Several processes, each with a part of the batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.multiprocessing
from helpers.sparse_processes import masks_of_one_process, train_half
from torch import distributed, nn
from weft.backend.errors import UnsupportedError, UserError
from weft.sparsity import Sparsifier


def test_all_processes_choose_the_masks_of_the_whole_batch(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(train_half, (str(tmp_path),), nprocs=2)
    for name, mask in masks_of_one_process().items():
        assert all(torch.equal(torch.load(tmp_path / f"{rank}.pt")[name], mask) for rank in (0, 1))


def test_gradients_of_unknown_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    model = nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(UserError, match="the DistributedDataParallel module"):
        Sparsifier(model, optimizer, {"algorithm": "rigl", "sparsity": 0.5})
    Sparsifier(model, optimizer, {"algorithm": "set", "sparsity": 0.5})


class FullyShardedDataParallel(nn.Sequential):
    """By name: it needs several processes."""


def test_sharded_parameters_are_refused() -> None:
    model = FullyShardedDataParallel(nn.Linear(4, 4))
    with pytest.raises(UnsupportedError, match="whole parameters"):
        Sparsifier(model, torch.optim.SGD(model.parameters(), lr=0.1), 0.5)
