"""Networks and their stages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from helpers.small_models import Attention, Branches
from torch import nn
from weft.backend.nn.resnet import resnet
from weft.compiler.capture.capture import capture
from weft.compiler.capture.graph import Graph
from weft.compiler.plan.program import Stages
from weft.compiler.stages.coarsen import merge_modules
from weft.compiler.stages.cut import cut
from weft.compiler.stages.group import assign

LABEL = torch.tensor([3])


MODELS = {
    "branches": Branches,
    "attention": Attention,
    "resnet": lambda: resnet(8, in_channels=1),
    "resnet-group": lambda: resnet(8, in_channels=1, normalization="group"),
}


def sample_of(name: str):
    generator = torch.Generator().manual_seed(1)
    if name == "attention":
        tokens = torch.randint(0, 11, (1, 6), generator=generator)
        return tokens, torch.randint(0, 11, (1, 6), generator=generator)
    channels = 2 if name == "branches" else 1
    return torch.randn(1, channels, 8, 8, generator=generator, dtype=torch.float64), LABEL


@cache
def model_of(name: str) -> tuple[nn.Module, Graph]:
    torch.manual_seed(0)
    model = MODELS[name]().double()
    return model, capture(model, sample_of(name), F.cross_entropy)


def cut_of(graph: Graph, blocks: bool = True, globs: Sequence[str] = ()) -> Stages:
    return cut(graph, merge_modules(assign(graph), blocks=blocks, globs=globs))
