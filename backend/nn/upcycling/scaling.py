"""Experts cut out of a dense layer, and the factors that keep the sum what it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from .feed_forward import FeedForward
from .router import RoutingOrder

Scaling = Literal["exact", "published"]


@dataclass(frozen=True)
class Factors:
    """What multiplies each weight of an expert, and the output's bias."""

    up: float = 1.0
    gate: float = 1.0
    down: float = 1.0
    down_bias: float = 1.0


def output_share(experts: int, granularity: int, top_k: int, order: RoutingOrder) -> float:
    """The dense output over the sum, at the start, of unscaled experts: with equal scores.

    c = R G G / k for softmax-top-k, with R = experts / G; c = G for top-k-softmax. Megatron-Core,
    arXiv:2410.07524.
    """
    return experts * granularity / top_k if order == "softmax-top-k" else float(granularity)


def factors(
    layer: FeedForward,
    experts: int,
    granularity: int,
    top_k: int,
    order: RoutingOrder,
    scaling: Scaling,
) -> Factors:
    """published: both weights by sqrt(c), of gated layers and squared ReLU all by the cube root of
    c; the output's bias as it is. Exact for ReLU and squared ReLU without biases, and else near.

    exact: gated layers scale up and down by sqrt(c) and leave the gate; others scale down by c. The
    bias is multiplied by what the router's weights do not sum to.
    """
    c = output_share(experts, granularity, top_k, order)
    if scaling == "exact":
        bias = experts / top_k if order == "softmax-top-k" else 1.0
        up, down = (1.0, c) if layer.gate is None else (c**0.5, c**0.5)
        return Factors(up=up, down=down, down_bias=bias)
    is_cubic = layer.gate is not None or _is_squared_relu(layer)
    root = c ** (1 / 3 if is_cubic else 1 / 2)
    return Factors(root, root, root)


def expert_weights(
    layer: FeedForward, experts: int, granularity: int, by: Factors
) -> dict[str, Tensor | None]:
    """Stacked weights: expert number shard + granularity * copy has that shard of hidden units."""
    copies = experts // granularity
    hidden = layer.hidden // granularity

    def shards(weight: Tensor | None, factor: float) -> Tensor | None:
        """(hidden, ...) to (experts, hidden / granularity, ...)."""
        if weight is None:
            return None
        cut = weight.detach().reshape(granularity, hidden, *weight.shape[1:])
        return (cut * factor).repeat(copies, *(1 for _ in range(weight.dim())))

    down = shards(layer.down.detach().mT, by.down)
    assert down is not None
    bias = layer.down_bias
    return {
        "up": shards(layer.up, by.up),
        "gate": shards(layer.gate, by.gate),
        "down": down.mT.contiguous(),
        "up_bias": shards(layer.up_bias, by.up),
        "gate_bias": shards(layer.gate_bias, by.gate),
        "down_bias": None if bias is None else (bias.detach() * by.down_bias).repeat(experts, 1),
    }


def _is_squared_relu(layer: FeedForward) -> bool:
    """By trial: a callable says nothing of itself."""
    x = torch.linspace(-3, 3, 13)
    with torch.no_grad():
        activation = layer.activation
        moved = activation.cpu() if isinstance(activation, nn.Module) else activation
        return torch.allclose(moved(x), torch.relu(x).square())
