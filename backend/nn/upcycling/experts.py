"""A mixture of experts of one shape, in static shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...ops.local_loss import with_local_loss
from ...ops.routed_product import routed_product
from .feed_forward import FeedForward
from .router import Router, balance_loss, capacity_of, is_taken, z_loss


class ExpertLoad(NamedTuple):
    """The expert of every row, -1: none; rows of a token; rows that an expert takes at most."""

    expert: Tensor
    top_k: int
    capacity: int


class Experts(nn.Module):
    """y = sum over the chosen experts of weight * FFN(x), for x of (*, width).

    Weights are stacked: up and gate (experts, hidden, width), down (experts, width, hidden).
    `capacity` is the factor of `capacity_of`; what an expert cannot take adds nothing to the
    token's sum, so it passes by the residual. None: dropless. In training the balance and z losses,
    times their weights, are minimised by the router and by what comes before it, beside the model's
    own loss.
    """

    up: Tensor
    down: Tensor
    gate: Tensor | None
    up_bias: Tensor | None
    gate_bias: Tensor | None
    down_bias: Tensor | None

    def __init__(
        self,
        router: Router,
        weights: dict[str, Tensor | None],
        activation: Callable[[Tensor], Tensor],
        capacity: float | None = None,
        balance: float = 0.01,
        z: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.router, self.activation = router, activation
        self.capacity, self.balance, self.z, self.dropout = capacity, balance, z, dropout
        for name, weight in weights.items():
            parameter = None if weight is None else nn.Parameter(weight)
            self.register_parameter(name, parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        tokens = x.reshape(-1, x.shape[-1])
        weights, chosen, logits = self.router(tokens)
        y = self._of_chosen(tokens, weights.to(x.dtype), chosen)
        y = F.dropout(y, self.dropout, self.training)
        if self.training and (self.balance or self.z):
            y = with_local_loss(y, self._loss(chosen, logits))
        return y.reshape(x.shape)

    def _loss(self, chosen: Tensor, logits: Tensor) -> Tensor:
        loss = self.balance * balance_loss(chosen, logits)
        return loss + self.z * z_loss(logits) if self.z else loss

    def _of_chosen(self, tokens: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        """Each token top_k times, a row for each of its experts; sums of the rows."""
        experts, (count, top_k) = self.up.shape[0], chosen.shape
        capacity = capacity_of(count, experts, top_k, self.capacity)
        expert = chosen
        if capacity < count:
            taken = is_taken(chosen, experts, capacity)
            weights, expert = weights * taken, torch.where(taken, chosen, -1)
        rows = tokens.unsqueeze(1).expand(-1, top_k, -1).flatten(0, 1)
        y = self._each(rows, chosen.flatten(), ExpertLoad(expert.flatten(), top_k, capacity))
        return (y.unflatten(0, (count, top_k)) * weights.unsqueeze(-1)).sum(1)

    def _each(self, rows: Tensor, chosen: Tensor, load: ExpertLoad) -> Tensor:
        """(rows, width), each through its own expert; one that none takes through the biases."""

        def affine(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            y = routed_product(x, weight.mT, *load)
            return y if bias is None else y + bias[chosen]

        weights = self.up, self.down, self.activation, self.gate
        layer = FeedForward(*weights, self.up_bias, self.gate_bias, self.down_bias)
        return layer(rows, affine)

    def extra_repr(self) -> str:
        """Sizes and capacity."""
        experts, hidden, width = self.up.shape
        return f"experts={experts}, hidden={hidden}, width={width}, capacity={self.capacity}"
