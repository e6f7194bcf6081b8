"""Sparse training in two processes, each with half of every batch."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from weft.sparsity import Sparsifier

_STEPS, _SIZE = 6, 8


def masks_of_one_process() -> dict[str, Tensor]:
    """Masks after training on whole batches."""
    return _trained(_model(), slice(None))


def train_half(rank: int, folder: str) -> None:
    """One of two processes; it writes its masks to the folder."""
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    half = slice(rank * _SIZE // 2, (rank + 1) * _SIZE // 2)
    torch.save(_trained(DistributedDataParallel(_model()), half), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 3)).double()


def _trained(model: nn.Module, part: slice) -> dict[str, Tensor]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sparsifier = Sparsifier(model, optimizer, {"algorithm": "rigl", "sparsity": 0.7})
    for index in range(_STEPS):
        optimizer.zero_grad()
        x = torch.randn(_SIZE, 6, generator=torch.Generator().manual_seed(index)).double()
        model(x[part]).square().mean().backward()
        optimizer.step()
    return sparsifier.state_dict()["masks"]
