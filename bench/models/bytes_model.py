"""A small decoder that predicts the next byte of a text."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_BYTES = 256


class Mlp(nn.Module):
    """down(relu(up x))."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.act(self.up(x)))


class DecoderBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); (N, T, width) to the same."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.mlp = Mlp(width, 4 * width)
        is_later = torch.ones(window, window).triu(1) > 0
        self.register_buffer("bias", torch.where(is_later, -1e9, 0.0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def _attention(self, x: Tensor) -> Tensor:
        n, t, width = x.shape
        split = (n, t, self.heads, width // self.heads)
        query, key, value = (
            layer(x).reshape(split).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(-2, -1) * split[-1] ** -0.5
        mixed = torch.softmax(scores + self.bias, -1) @ value
        return self.out(mixed.transpose(1, 2).reshape(n, t, width))


class ByteModel(nn.Module):
    """Scores (N, T, 256) of the byte after each of the bytes (N, T), integers."""

    def __init__(self, blocks: int = 2, width: int = 32, heads: int = 2, window: int = 32) -> None:
        super().__init__()
        self.bytes = nn.Embedding(_BYTES, width)
        self.places = nn.Parameter(0.02 * torch.randn(1, window, width))
        self.blocks = nn.Sequential(*(DecoderBlock(width, heads, window) for _ in range(blocks)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, _BYTES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.bytes(x) + self.places)))


def byte_loss(scores: Tensor, following: Tensor) -> Tensor:
    """Mean cross-entropy in nats; scores (N, T, 256), following (N, T)."""
    return F.cross_entropy(scores.reshape(-1, _BYTES), following.reshape(-1))
