"""A small U-Net."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class UNet(nn.Module):
    """Down by pooling, up by nearest neighbours, both resolutions joined by concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.down = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.bottom, self.up = nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(12, 4, 3, padding=1)
        self.norm, self.leave = nn.GroupNorm(2, 4), nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, H, W) to the same, H and W multiples of 4."""
        fine = F.relu(self.norm(self.enter(x)))
        middle = F.relu(self.down(F.max_pool2d(fine, 2)))
        coarse = F.relu(self.bottom(F.max_pool2d(middle, 2)))
        joined = torch.cat([F.interpolate(coarse, scale_factor=2), middle], 1)
        raised = F.interpolate(F.relu(self.up(joined)), scale_factor=2)
        return self.leave(torch.cat([raised, fine], 1))
