"""A network with an embedding and a head of one table or two."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from weft.compiler.pipeline import Options, compile_model
from weft.compiler.plan.plan import Plan

WORDS, WIDTH, TOKENS = 4000, 64, 16


class Tied(nn.Module):
    """An embedding, some layers, and a head with the embedding's table or its own."""

    def __init__(self, is_tied: bool, words: int = WORDS) -> None:
        super().__init__()
        self.table = nn.Embedding(words, WIDTH)
        self.layers = nn.Sequential(*(nn.Linear(WIDTH, WIDTH) for _ in range(3)))
        self.head = nn.Linear(WIDTH, words, bias=False)
        if is_tied:
            self.head.weight = self.table.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(self.table(tokens)))


def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def compiled(is_tied: bool = True, words: int = WORDS, **options: object) -> Plan:
    torch.manual_seed(0)
    tokens = torch.randint(0, words, (1, TOKENS))
    model = Tied(is_tied, words)
    return compile_model(model, (tokens, tokens), loss, "wse2", Options(**options))
