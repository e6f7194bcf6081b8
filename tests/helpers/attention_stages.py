"""Stages of attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from helpers.stages_of import mlp_stages, resnet8_stages
from torch import nn
from weft.compiler.capture.capture import capture
from weft.compiler.plan.program import Stages
from weft.compiler.stages.coarsen import merge_modules
from weft.compiler.stages.cut import cut
from weft.compiler.stages.group import assign
from weft.compiler.stages.recompute import recompute


class Attention(nn.Module):
    """Two products of activations, a softmax, a residual sum, and a weight that is tied."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 8)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True) for _ in range(2)
        )

    def forward(self, tokens):
        x = self.table(tokens)
        for block in self.blocks:
            x = block(x)
        return F.linear(x, self.table.weight).transpose(1, 2)


def attention_stages(blocks: bool, again: bool) -> Stages:
    torch.manual_seed(0)
    sample = torch.zeros(1, 6, dtype=torch.long), torch.zeros(1, 6, dtype=torch.long)
    graph = capture(Attention(), sample, F.cross_entropy)
    stages = cut(graph, merge_modules(assign(graph), blocks=blocks))
    return recompute(stages) if again else stages


STAGES = {
    "mlp": mlp_stages,
    "resnet": resnet8_stages,
    "attention": lambda: attention_stages(False, False),
    "attention by block": lambda: attention_stages(True, False),
    "attention by block, recomputing": lambda: attention_stages(True, True),
}
