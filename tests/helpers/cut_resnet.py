"""A cut network."""

from __future__ import annotations

import torch

IMAGE = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))


LABEL = torch.tensor([3])
