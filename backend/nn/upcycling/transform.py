"""A dense model whose feed-forward layers become mixtures of experts."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import nn

from ...errors import UserError
from .checks import (
    check_hidden,
    check_losses,
    check_names,
    check_numbers,
    refuse_adapted,
    refuse_masked,
    refuse_tied,
)
from .experts import Experts
from .feed_forward import FeedForward, feed_forward
from .router import Router, RoutingOrder
from .scaling import Factors, Scaling, expert_weights, factors


@dataclass(frozen=True)
class Upcycled:
    """The model, the names of its mixtures, and how their weights were scaled (None: not)."""

    model: nn.Module
    layers: tuple[str, ...]
    scaling: Scaling | None

    @property
    def parameters(self) -> int:
        """Of the whole model, each once."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def active_parameters(self) -> int:
        """Those that one token meets: top_k of the experts of each mixture, and all else."""
        idle = 0
        for name in self.layers:
            mixture = self.model.get_submodule(name)
            assert isinstance(mixture, Experts)
            stacked = sum(p.numel() for p in mixture.parameters(recurse=False))
            experts = mixture.up.shape[0]
            idle += stacked // experts * (experts - mixture.router.top_k)
        return self.parameters - idle


def upcycle(
    model: nn.Module,
    layers: tuple[str, ...],
    *,
    experts: int,
    top_k: int = 2,
    granularity: int = 1,
    order: RoutingOrder = "top-k-softmax",
    scaling: Scaling | None = None,
    capacity: float | None = None,
    balance: float = 0.01,
    z: float = 0.0,
    jitter: float = 0.0,
) -> Upcycled:
    """A copy of `model` with mixtures in place of the feed-forward modules that the globs `layers`
    match; `model` stays as it is.

    Each expert has 1 / granularity of the hidden units; there are experts / granularity copies. The
    router's rows are drawn per copy, normal(0, 0.02), so that at the start the chosen are whole
    copies. With top-k-softmax and granularity 1 the model computes what it did; else `scaling`
    makes up for the router's weights, see `factors`. `capacity`, `balance`, `z` and `jitter`: see
    `Experts` and `Router`.

    Raises `UserError` for globs that match nothing, modules that are no feed-forward layer, hidden
    units or experts that do not divide, a top_k that chooses all or parts of copies, and weights
    that masks are in force on or that other modules use.
    """
    check_numbers(experts, top_k, granularity, capacity)
    check_losses(balance, z, jitter)
    check_names(order, scaling)
    new = copy.deepcopy(model)
    found = _find(new, layers)
    refuse_masked(new, found)
    refuse_adapted(new, found)
    refuse_tied(new, found)
    for name, module in found.items():
        layer = feed_forward(name, module)
        check_hidden(name, layer, granularity)
        by = Factors()
        if scaling is not None:
            by = factors(layer, experts, granularity, top_k, order, scaling)
        weights = expert_weights(layer, experts, granularity, by)
        router = Router(layer.width, experts, top_k, order, jitter)
        _draw_per_copy(router, layer, granularity)
        options = (layer.activation, capacity, balance, z, layer.dropout)
        mixture = Experts(router, weights, *options).train(module.training)
        if not name:
            return Upcycled(mixture, ("",), scaling)
        new.set_submodule(name, mixture)
    return Upcycled(new, tuple(found), scaling)


def _draw_per_copy(router: Router, layer: FeedForward, granularity: int) -> None:
    """The router's rows of one copy's shards are the same; on the device of the layer."""
    rows = router.weight.data[: len(router.weight) // granularity]
    dtype = torch.promote_types(layer.up.dtype, torch.float32)
    drawn = rows.repeat_interleave(granularity, 0).to(layer.up.device, dtype)
    router.weight = nn.Parameter(drawn)


def _find(model: nn.Module, globs: tuple[str, ...]) -> Mapping[str, nn.Module]:
    if isinstance(globs, str) or not globs:
        raise UserError(
            "upcycling: layers",
            expected="a tuple of globs, at least one",
            got=repr(globs),
            change="name the feed-forward modules, such as ('layers.*.mlp',)",
        )
    named = dict(model.named_modules())
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in named):
            usual = ("mlp", "ffn", "feed_forward")
            near = [name for name in named if name.rpartition(".")[2] in usual]
            raise UserError(
                f"upcycling: layers '{glob}'",
                expected="a glob that matches feed-forward modules",
                got="no match",
                change=f"match names such as {', '.join((near or list(named))[:6])}",
            )
    return {n: m for n, m in named.items() if any(fnmatchcase(n, glob) for glob in globs)}
