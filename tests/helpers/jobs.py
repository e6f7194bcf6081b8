"""Training jobs on small models, and the samples to train them with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from weft.backend.nn.online_norm import OnlineNorm
from weft.backend.optim import build_rule
from weft.compiler.plan.program import Stages
from weft.runtime.tick.job import Job

from .stages_of import stages_of

LABEL = torch.zeros(1, dtype=torch.long)


def falling_rate(update: int) -> float:
    """A learning rate that differs from update to update, so that an index off by one shows."""
    return 0.01 / (1 + 0.02 * update)


class SkipNet(nn.Module):
    """Convolutions with Online Normalization, one residual sum, 7 stages with the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.norm1, self.norm2 = OnlineNorm(4, 0.9, 0.8), OnlineNorm(6, 0.9, 0.8)
        self.conv1 = nn.Conv2d(4, 6, 3, padding=1, stride=2, bias=False)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)
        self.shortcut = nn.Conv2d(4, 6, 1, stride=2, bias=False)
        self.norm3, self.head = OnlineNorm(6, 0.9, 0.8), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        residual = self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(h))))))
        h = residual + self.shortcut(h)
        return self.head(F.relu(self.norm3(h)).mean((2, 3)))


class TiedNet(nn.Module):
    """One layer at two places, with another between them."""

    def __init__(self) -> None:
        super().__init__()
        self.tied, self.between = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.tied(torch.tanh(self.between(torch.tanh(self.tied(x)))))


def perceptron() -> nn.Module:
    """Two hidden layers; 4 stages with the loss."""
    return nn.Sequential(
        nn.Linear(9, 16), nn.Tanh(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)
    )


def job_of(
    model: nn.Module,
    stages: Stages,
    *,
    compensation: str = "none",
    masks: Mapping[str, Tensor] | None = None,
    momentum: float = 0.9,
) -> Job:
    rule = build_rule("sgdm", momentum=momentum, weight_decay=1e-3, compensation=compensation)
    tensors = {name: value.detach().clone() for name, value in model.state_dict().items()}
    return Job(stages, tensors, masks or {}, rule, falling_rate)


def skip_net_job(compensation: str, dtype: torch.dtype = torch.float32) -> Job:
    """`SkipNet` with half of its convolution weights masked."""
    torch.manual_seed(0)
    model = SkipNet().to(dtype)
    stages = stages_of(model, torch.zeros(1, 1, 6, 6, dtype=dtype))
    masks = {
        name: torch.rand(value.shape) < 0.5
        for name, value in model.named_parameters()
        if value.ndim == 4
    }
    return job_of(model, stages, compensation=compensation, masks=masks)


def perceptron_job(compensation: str, dtype: torch.dtype = torch.float32) -> Job:
    torch.manual_seed(0)
    model = perceptron().to(dtype)
    stages = stages_of(model, torch.zeros(1, 9, dtype=dtype))
    return job_of(model, stages, compensation=compensation)


def samples(job: Job, count: int, seed: int = 0) -> list[np.ndarray]:
    """Inputs whose mean tells their label, and labels of three classes."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, count)
    shape = job.stages.model_inputs[0].shape[1:]
    noise = generator.standard_normal((count, *shape))
    return [noise + (labels - 1.0).reshape(-1, *[1] * len(shape)), labels]
