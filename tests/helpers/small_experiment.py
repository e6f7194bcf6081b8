"""An experiment of seconds."""

from __future__ import annotations

import numpy as np
import torch
from helpers.jobs import perceptron
from torch import nn
from weft.runtime.data import Dataset

RATE = 0.01


def seeded(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return perceptron()


def data(count: int = 160) -> Dataset:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, count)
    x = (generator.standard_normal((count, 9)) + (labels[:, None] - 1.0)).astype(np.float32)
    cut = count - 40
    return Dataset("noise", x[:cut], labels[:cut], x[cut:], labels[cut:], "none")
