"""How a model is adapted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LoRA:
    """How a model is adapted.

    `targets` are globs of module names: linear layers (GPT-2's as well), convolutions without
    groups, embeddings. The scale is alpha / rank, or alpha / sqrt(rank) if `rank_stabilised`.
    `dropout` is on the input of A. With `masked` pruned weights stay 0 and merging is exact; see
    `Adapted`. `trained` are globs of other parameters that go on training. `statistics` says
    whether those of streaming and batch norms go on or stand still (eval mode, which
    `model.train()` ends).
    """

    targets: tuple[str, ...]
    rank: int = 8
    alpha: float = 8.0
    rank_stabilised: bool = False
    dropout: float = 0.0
    masked: bool = False
    trained: tuple[str, ...] = ()
    statistics: Literal["go on", "stand still"] | None = None

    @property
    def scale(self) -> float:
        """What multiplies B A."""
        return self.alpha / (self.rank**0.5 if self.rank_stabilised else self.rank)
