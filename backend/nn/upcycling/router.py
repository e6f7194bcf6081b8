"""Which experts take a token, with what weights, and what balances them."""

from __future__ import annotations

from math import ceil
from typing import Any, Literal

import torch
from torch import Tensor, nn

RoutingOrder = Literal["softmax-top-k", "top-k-softmax"]


class Router(nn.Module):
    """A linear layer (width to experts, no bias, at least float32) and the choice of `top_k`.

    softmax-top-k: the probabilities of the chosen, as they are. top-k-softmax: renormalised over
    the chosen, so that they sum to 1. Equal scores go to the expert of the lower number. In
    training the input is multiplied by uniform numbers in [1 - jitter, 1 + jitter].
    """

    def __init__(
        self, width: int, experts: int, top_k: int, order: RoutingOrder, jitter: float = 0.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(experts, width).normal_(0, 0.02))
        self.top_k, self.order, self.jitter = top_k, order, jitter

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of tokens (tokens, width): the weights and the numbers of the chosen (tokens, top_k), the
        best first, and the logits (tokens, experts)."""
        wide = torch.promote_types(x.dtype, self.weight.dtype)
        x = x.to(wide)
        if self.jitter and self.training:
            x = x * (1 + self.jitter * (2 * torch.rand_like(x) - 1))
        logits = x @ self.weight.to(wide).mT
        order = torch.sort(logits.detach(), dim=-1, descending=True, stable=True).indices
        chosen = order[..., : self.top_k]
        if self.order == "softmax-top-k":
            weights = torch.softmax(logits, -1).gather(-1, chosen)
        else:
            weights = torch.softmax(logits.gather(-1, chosen), -1)
        return weights, chosen, logits

    def _apply(self, fn: Any, recurse: bool = True) -> Router:
        """Half precision would flip the choice between nearly equal scores."""
        super()._apply(fn, recurse)
        if self.weight.dtype in (torch.float16, torch.bfloat16):
            self.weight.data = self.weight.data.float()
        return self

    def extra_repr(self) -> str:
        """Sizes and order."""
        experts, width = self.weight.shape
        return f"{width}, experts={experts}, top_k={self.top_k}, order={self.order}"


def balance_loss(chosen: Tensor, logits: Tensor) -> Tensor:
    """experts * sum over experts of (share of tokens) * (mean probability) (Fedus et al. 2021).

    The share of tokens has no gradient and counts every choice: at balance it sums to top_k, and
    the loss, at least 1 for top_k = 1, is top_k. The mean is over the tokens given.
    """
    share = is_chosen(chosen, logits.shape[-1]).to(logits.dtype).mean(0)
    return logits.shape[-1] * (share * torch.softmax(logits, -1).mean(0)).sum()


def z_loss(logits: Tensor) -> Tensor:
    """mean of logsumexp(logits)^2 (Zoph et al. 2022)."""
    return torch.logsumexp(logits, -1).square().mean()


def capacity_of(tokens: int, experts: int, top_k: int, factor: float | None) -> int:
    """Tokens that an expert takes: ceil(factor * tokens * top_k / experts), or all."""
    return tokens if factor is None else min(tokens, ceil(factor * tokens * top_k / experts))


def is_chosen(chosen: Tensor, experts: int) -> Tensor:
    """(tokens, experts), True where a token has chosen the expert."""
    none = torch.zeros(chosen.shape[0], experts, dtype=torch.int64, device=chosen.device)
    return none.scatter(-1, chosen, 1) > 0


def is_taken(chosen: Tensor, experts: int, capacity: int) -> Tensor:
    """(tokens, top_k), False where an expert has as many tokens as it takes: the first ones."""
    places = is_chosen(chosen, experts).to(torch.int64).cumsum(0)
    return places.gather(-1, chosen) <= capacity
