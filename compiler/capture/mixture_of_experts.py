"""Mixtures of experts of transformers, as products of rows that are each routed to an expert."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from ...backend.ops.routed_product import routed_product

_ATTRIBUTE = "_experts_implementation"
_REGISTRY = "transformers.integrations.moe"
_OURS = "weft"


@contextmanager
def routed_experts(model: nn.Module) -> Iterator[None]:
    """Let experts compute by `_routed`; the numbers are the same.

    transformers' own forms sort tokens into groups whose sizes depend on the sample, or copy an
    expert's weight for every token.
    """
    configs = [getattr(module, "config", None) for module in model.modules()]
    found = {id(c): c for c in configs if getattr(c, _ATTRIBUTE, None) is not None}
    before = {key: getattr(config, _ATTRIBUTE) for key, config in found.items()}
    if found:
        sys.modules[_REGISTRY].ALL_EXPERTS_FUNCTIONS.register(_OURS, _routed)
    for config in found.values():
        setattr(config, _ATTRIBUTE, _OURS)
    try:
        yield
    finally:
        for key, config in found.items():
            setattr(config, _ATTRIBUTE, before[key])


def _routed(experts: Any, tokens: Tensor, chosen: Tensor, shares: Tensor) -> Tensor:
    """(tokens, width), from tokens (tokens, width), the numbers of the experts of each and the
    shares of their outputs (tokens, top_k); dropless. `experts` says what layers it has as
    transformers' `use_experts_implementation` does."""
    (count, top_k), expert = chosen.shape, chosen.flatten()

    def layer(x: Tensor, name: str) -> Tensor:
        weight = getattr(experts, name)
        lying = weight if experts.is_transposed else weight.mT
        y = routed_product(x, lying, expert, top_k, count)
        return y + getattr(experts, f"{name}_bias")[expert] if experts.has_bias else y

    x = tokens.unsqueeze(1).expand(-1, top_k, -1).flatten(0, 1)
    if experts.has_gate:
        hidden = experts._apply_gate(layer(x, "gate_up_proj"))
    else:
        hidden = experts.act_fn(layer(x, "up_proj"))
    y = layer(hidden, "down_proj")
    if experts.has_post_expert_norm:
        y = experts.post_expert_norm(y)
    y = y * shares.reshape(-1, 1)
    return y.unflatten(0, (count, top_k)).sum(1).to(tokens.dtype)
