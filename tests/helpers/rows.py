"""Samples that worker processes can read: their classes are importable."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch.utils.data import Dataset

X = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
Y = np.arange(9) % 3


class NoisyRows(Dataset):
    """Rows with noise that is drawn anew each time, by all three generators."""

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        noise = np.random.normal(size=4) + torch.randn(4).numpy() + random.random()
        return X[index] + noise, int(Y[index])
