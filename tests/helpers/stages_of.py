"""Stages of small models, through the real capture and cut."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from weft.backend.nn.resnet import resnet
from weft.compiler.capture.capture import capture
from weft.compiler.plan.program import Stages
from weft.compiler.stages.cut import cut

LABEL = torch.zeros(1, dtype=torch.long)


def stages_of(model: nn.Module, sample: Tensor, loss=F.cross_entropy, label: Tensor = LABEL):
    return cut(capture(model, (sample, label), loss))


@cache
def resnet8_stages() -> Stages:
    """A one-block-per-group ResNet with Online Normalization on 8 x 8 images: 16 stages."""
    return stages_of(resnet(8, in_channels=1, classes=10), torch.zeros(1, 1, 8, 8))


@cache
def mlp_stages() -> Stages:
    layers = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    return stages_of(layers, torch.zeros(1, 64))


def random_masks(stages: Stages, density: float, seed: int = 0) -> dict[str, Tensor]:
    """A mask for every weight; the masks of one seed are nested: more density keeps more."""
    masks = {}
    for stage in stages.stages:
        for name, spec in zip(stage.parameters, stage.program.parameters, strict=True):
            if len(spec.shape) > 1:
                generator = torch.Generator().manual_seed(seed)
                masks[name] = torch.rand(spec.shape, generator=generator) < density
    return masks
