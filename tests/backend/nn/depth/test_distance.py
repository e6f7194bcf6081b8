"""The least angle as a choice: a trained network loses less by it than by the mean choice."""

from __future__ import annotations

from functools import cache
from statistics import fmean

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from weft.backend.nn.depth import angular_distances, find_blocks, prune_depth, stream_states

datasets = pytest.importorskip("sklearn.datasets")

BLOCKS, WIDTH = 6, 32


class Block(nn.Module):
    """x + W2 relu(W1 norm(x))."""

    def __init__(self) -> None:
        super().__init__()
        layers = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH)
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def digits() -> tuple[Tensor, Tensor]:
    images, labels = datasets.load_digits(return_X_y=True)
    return torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)


@cache
def trained(seed: int) -> nn.Module:
    """A residual network after eight epochs of SGD in eager torch."""
    torch.manual_seed(seed)
    x, y = (part[:1400] for part in digits())
    blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
    ends = nn.Linear(64, WIDTH), nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10))
    model = nn.Sequential(ends[0], blocks, ends[1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(8):
        for chosen in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            F.cross_entropy(model(x[chosen]), y[chosen]).backward()
            optimizer.step()
    return model.eval()


@pytest.mark.parametrize("removed", [1, 2])
def test_the_run_of_least_angle_costs_less_than_the_mean_choice(removed: int) -> None:
    """Over three trained networks, and for each of them."""
    x, y = digits()
    for seed in range(3):
        model = trained(seed)
        blocks = find_blocks(model, lambda whole: whole(x[:1]))
        states = stream_states(model, blocks, [(row[None],) for row in x[:100]], tokens=False)
        angles = angular_distances(states, removed)
        with torch.no_grad():
            pruned = [prune_depth(model, blocks, n, removed) for n in range(len(angles))]
            losses = [F.cross_entropy(m(x[1400:]), y[1400:]).item() for m in pruned]
        assert losses[int(np.argmin(angles))] < fmean(losses)
