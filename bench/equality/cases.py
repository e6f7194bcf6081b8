"""Models, update rules and masks that the executors are compared with each other on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from ...backend.nn.resnet import resnet
from ...backend.optim import build_rule
from ...backend.sparsity import configure
from ...compiler.capture.capture import capture
from ...compiler.plan.program import Stages
from ...compiler.stages.cut import cut
from ...runtime.tick.job import Job
from ..models.bytes_model import ByteModel, byte_loss
from ..models.u_net import UNet

MASKS: Mapping[str, Any] = {
    "none": None,
    "static": {"sparsity": 0.5},
    "rigl": {"algorithm": "rigl", "sparsity": 0.5, "update": {"freq": 30}, "drop_fraction": 0.2},
}
RULES: Mapping[str, tuple[str, ...]] = {
    "sgdm": ("none", "stash", "sc", "lwp", "lwp_w", "sc+lwp", "sc+lwp_w", "ab"),
    "adamw": ("none", "stash", "lwp"),
}


@dataclass(frozen=True)
class EqualityCase:
    """A model, cut into stages with its loss, and samples."""

    stages: Stages
    model: nn.Module
    inputs: tuple[np.ndarray, ...]


class _Smooth(TorchFunctionMode):
    """SiLU for ReLU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return F.silu(*args) if func is F.relu else func(*args, **(kwargs or {}))


def images_case(
    depth: int, activation: AbstractContextManager[Any], count: int, dtype: torch.dtype
) -> EqualityCase:
    """A ResNet with Online Normalization on 8 x 8 pixels: 16 stages at depth 8, 34 at 20."""
    model, generator = resnet(depth, in_channels=1, classes=10).to(dtype), np.random.default_rng(0)
    labels = generator.integers(0, 10, count)
    x = generator.standard_normal((count, 1, 8, 8)) + labels.reshape(-1, 1, 1, 1) / 10
    sample = torch.zeros(1, 1, 8, 8, dtype=dtype), torch.zeros(1, dtype=torch.long)
    with activation:
        graph = capture(model, sample, F.cross_entropy)
    return EqualityCase(cut(graph), model, (x, labels))


def gpt_case(count: int, dtype: torch.dtype = torch.float32) -> EqualityCase:
    """A decoder of one block over bytes."""
    model, window = ByteModel(blocks=1, width=16, heads=2, window=6).to(dtype), 6
    tokens = torch.zeros(1, window, dtype=torch.long)
    text = np.random.default_rng(0).integers(0, 256, (count, window + 1))
    stages = cut(capture(model, (tokens, tokens), byte_loss))
    return EqualityCase(stages, model, (text[:, :-1], text[:, 1:]))


def u_net_case(count: int, dtype: torch.dtype = torch.float32) -> EqualityCase:
    """Convolutions with skips that are joined by concatenation."""
    model, image = UNet().to(dtype), torch.zeros(1, 1, 8, 8, dtype=dtype)
    x = np.random.default_rng(0).standard_normal((count, 1, 8, 8))
    return EqualityCase(cut(capture(model, (image, image), F.mse_loss)), model, (x, np.abs(x)))


def mlp_case(count: int, dtype: torch.dtype = torch.float32) -> EqualityCase:
    """Three hidden layers."""
    layers = [nn.Linear(16, 24), nn.Tanh(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 5)]
    model, generator = nn.Sequential(*layers).to(dtype), np.random.default_rng(0)
    labels = generator.integers(0, 5, count)
    x = generator.standard_normal((count, 16)) + labels[:, None] / 5
    sample = torch.zeros(1, 16, dtype=dtype), torch.zeros(1, dtype=torch.long)
    return EqualityCase(cut(capture(model, sample, F.cross_entropy)), model, (x, labels))


def narrow_case(count: int, width: int) -> EqualityCase:
    """Three layers of `width` in float64 with ReLU and the mean squared error, which have no
    functions of which there are several approximations."""
    torch.manual_seed(0)
    layers = [nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(width, width)).double()
    with torch.no_grad():
        for value in model.parameters():
            value.abs_()
    sample = torch.zeros(1, width, dtype=torch.float64)
    x = np.random.default_rng(0).random((count, width)) + 0.1
    return EqualityCase(cut(capture(model, (sample, sample), F.mse_loss)), model, (x, np.sqrt(x)))


CASES: Mapping[str, Callable[[int, torch.dtype], EqualityCase]] = {
    "mlp": mlp_case,
    "gpt": gpt_case,
    "u-net": u_net_case,
    "resnet8": partial(images_case, 8, nullcontext()),
    "resnet20": partial(images_case, 20, nullcontext()),
    "resnet8-silu": partial(images_case, 8, _Smooth()),
    "resnet20-silu": partial(images_case, 20, _Smooth()),
}


@cache
def case(name: str, count: int, dtype: torch.dtype = torch.float32) -> EqualityCase:
    """The case `name`, captured once; its start values are those of float32."""
    torch.manual_seed(0)
    return CASES[name](count, dtype)


def job_of(found: EqualityCase, rule: str, compensation: str, masks: str) -> Job:
    """Training the case by a rule of `RULES` with masks of `MASKS`; rates fall with every update,
    so that one that is off by an update shows."""
    model = found.model
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    rate = 0.01 if rule == "sgdm" else 0.001
    update_rule = build_rule(rule, momentum=0.9, weight_decay=1e-3, compensation=compensation)
    job = Job(found.stages, tensors, {}, update_rule, lambda update: rate / (1 + 0.02 * update))
    if MASKS[masks] is None:
        return job
    sparsity = configure(MASKS[masks])
    rules = {name: rule for name, rule in sparsity.rules(model).items() if rule.is_dynamic}
    return replace(job, masks=sparsity.masks(model), mask_rules=rules)
