"""Small models that stress capture: branches, shared inputs, several norms, in-place operations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Branches(nn.Module):
    """A skip over two layers, a shared normalization, an output read by three layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.GroupNorm(2, 4)
        self.left = nn.Conv2d(4, 6, 3, padding=1, stride=2, bias=False)
        self.right = nn.Conv2d(4, 6, 1, stride=2)
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        h = F.gelu(self.norm(self.stem(x)))
        h = F.relu_(self.left(h)) + self.right(h)
        return self.head(F.max_pool2d(h, 2).mean((2, 3)))


class Attention(nn.Module):
    """One pre-norm block with an explicit softmax and an embedding of the sample's tokens."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.output = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.head = nn.Linear(width, 11)

    def forward(self, tokens):
        h = self.embedding(tokens)
        n = self.norm1(h)
        scores = self.query(n) @ self.key(n).transpose(1, 2) / h.shape[-1] ** 0.5
        h = h + self.output(torch.softmax(scores, -1) @ self.value(n))
        logits = self.head(h + self.down(torch.tanh(self.up(self.norm2(h)))))
        return logits.transpose(1, 2)


class Transposed(nn.Module):
    """A group normalization reads a transposed sum, and a transposed sum reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.head = nn.Linear(3, 4), nn.GroupNorm(2, 4), nn.Linear(20, 3)

    def forward(self, x):
        h = self.first(x).transpose(1, 2)
        h = h + h.flip(2)
        h = self.norm(h) + h
        return self.head((h + h.flip(2)).transpose(1, 2).flatten(1))
