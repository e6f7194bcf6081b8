"""A mixture of experts of one shape, in static shapes."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...ops.local_loss import with_local_loss
from .feed_forward import FeedForward
from .router import Router, balance_loss, capacity_of, within_capacity, z_loss


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
        experts, count = weights.shape[1], tokens.shape[0]
        capacity = capacity_of(count, experts, self.router.top_k, self.capacity)
        if capacity < count:
            y = self._of_some(tokens, weights, within_capacity(chosen, capacity), capacity)
        else:
            inputs = tokens.expand(experts, *tokens.shape)
            y = (self._each(inputs) * weights.mT.unsqueeze(-1).to(x.dtype)).sum(0)
        y = F.dropout(y, self.dropout, self.training)
        if self.training and (self.balance or self.z):
            y = with_local_loss(y, self._loss(chosen, logits))
        return y.reshape(x.shape)

    def _loss(self, chosen: Tensor, logits: Tensor) -> Tensor:
        loss = self.balance * balance_loss(chosen, logits)
        return loss + self.z * z_loss(logits) if self.z else loss

    def _of_some(self, tokens: Tensor, weights: Tensor, taken: Tensor, capacity: int) -> Tensor:
        """Each expert reads `capacity` tokens, those that it took first; others weigh nothing."""
        order = torch.sort(taken.to(torch.int8), dim=0, descending=True, stable=True).indices
        places = order[:capacity].mT
        share = (weights * taken).mT.gather(1, places).unsqueeze(-1)
        y = self._each(tokens[places]) * share.to(tokens.dtype)
        return torch.zeros_like(tokens).index_add(0, places.reshape(-1), y.flatten(0, 1))

    def _each(self, x: Tensor) -> Tensor:
        """(experts, tokens, width), each expert on its own tokens."""
        weights = self.up, self.down, self.activation, self.gate
        return FeedForward(*weights, self.up_bias, self.gate_bias, self.down_bias)(x)

    def extra_repr(self) -> str:
        """Sizes and capacity."""
        experts, hidden, width = self.up.shape
        return f"experts={experts}, hidden={hidden}, width={width}, capacity={self.capacity}"
