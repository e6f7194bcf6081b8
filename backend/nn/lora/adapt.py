"""Puts adapters on the layers of a model, and freezes the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...errors import UserError
from ...sparsity.eager.attached import masks_of
from ..online_norm import OnlineNorm
from .checks import check_config, check_layers
from .config import LoRA
from .factors import kind_of
from .layers import Adapted


def adapt(
    model: nn.Module, config: LoRA, *, masks: Mapping[str, Tensor] | None = None
) -> nn.Module:
    """Put adapters on the targets and freeze all else, in place; returns the model. Adapters that
    it has go on training.

    The model computes what it did, to the bit. `masks` (parameter name to bool mask) are needed if
    `config.masked`; by default those that a Sparsifier has in force. Raises `UserError` for
    targets that match nothing, ranks above a layer's dimensions, tied or adapted layers, layers
    without an adapter of their kind, and norms with statistics that `config` does not settle.
    """
    check_config(config, model)
    layers = _targets(model, config)
    check_layers(model, layers, config.rank)
    kept = _masks(model, layers, config, masks)
    _settle_statistics(model, config)
    trained = [p for name, p in model.named_parameters() if _matches(name, config.trained)]
    trained += [p for p in adapter_parameters(model).values() if p.requires_grad]
    model.requires_grad_(False)
    for parameter in trained:
        parameter.requires_grad_(True)
    for name, layer in layers.items():
        new = Adapted(layer, config.rank, config.scale, config.dropout, kept.get(name))
        model = _put(model, name, new)
    return model


def adapted_layers(model: nn.Module) -> dict[str, Adapted]:
    """The adapted layers by name."""
    return {name: m for name, m in model.named_modules() if isinstance(m, Adapted)}


def adapter_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """A and B of every adapted layer, by name."""
    return {
        f"{name}.{key}".lstrip("."): parameter
        for name, layer in adapted_layers(model).items()
        for key, parameter in layer.factors.items()
    }


def _targets(model: nn.Module, config: LoRA) -> dict[str, nn.Module]:
    named, done = dict(model.named_modules()), adapted_layers(model)
    for glob in config.targets:
        if not any(fnmatchcase(name, glob) and kind_of(named[name]) for name in named):
            matched = [f"{n}: {type(m).__name__}" for n, m in named.items() if fnmatchcase(n, glob)]
            layers = [name for name, module in named.items() if kind_of(module)]
            raise UserError(
                f"LoRA: target '{glob}'",
                expected="a glob that matches linear layers, embeddings, or convolutions without "
                "groups",
                got="; ".join(matched[:4]) or "no match",
                change=f"match names such as {', '.join(layers[:8])}",
            )
    found = {n: m for n, m in named.items() if kind_of(m) and _matches(n, config.targets)}
    inside = {id(part) for layer in done.values() for part in layer.modules()}
    for name, layer in found.items():
        if id(layer) in inside:
            raise UserError(
                f"LoRA: module '{name}'",
                expected="a layer without an adapter",
                got="one that has an adapter of rank "
                + str(next(a.rank for a in done.values() if layer in list(a.modules()))),
                change="merge it first (weft.nn.lora.merge), or leave the layer out of targets",
            )
    return found


def _masks(
    model: nn.Module,
    layers: Mapping[str, nn.Module],
    config: LoRA,
    masks: Mapping[str, Tensor] | None,
) -> dict[str, Tensor]:
    """A copy of the mask of each layer, by the layer's name."""
    if not config.masked:
        return {}
    if config.dropout:
        raise UserError(
            "LoRA: dropout",
            expected="0 with masked adapters, where A has no input of its own",
            got=f"{config.dropout}",
            change="leave dropout out, or masked",
        )
    given = masks_of(model) if masks is None else masks
    return dict(_checked_masks(layers, given))


def _checked_masks(
    layers: Mapping[str, nn.Module], masks: Mapping[str, Tensor]
) -> Iterator[tuple[str, Tensor]]:
    for name, layer in layers.items():
        weight, mask = layer.weight, masks.get(f"{name}.weight".lstrip("."))
        assert isinstance(weight, Tensor)
        if mask is None or mask.shape != weight.shape:
            got = "none" if mask is None else f"one of shape {tuple(mask.shape)}"
            raise UserError(
                f"LoRA: module '{name}'",
                expected=f"a mask of shape {tuple(weight.shape)} for its weight",
                got=got,
                change="make the base sparse first (weft.sparsity.Sparsifier), give masks=, or "
                "leave masked out",
            )
        yield name, mask.to(weight.device, torch.bool, copy=True)


def _settle_statistics(model: nn.Module, config: LoRA) -> None:
    kinds = (_BatchNorm, OnlineNorm)
    norms = {n: m for n, m in model.named_modules() if isinstance(m, kinds) and m.training}
    if norms and config.statistics is None:
        raise UserError(
            f"LoRA: {len(norms)} norms with statistics, the first at '{next(iter(norms))}'",
            expected="statistics='go on' or 'stand still': frozen weights do not settle it",
            got="neither",
            change="say which; standing still is what the frozen model computes in eval mode",
        )
    if config.statistics == "stand still":
        for norm in norms.values():
            norm.eval()


def _matches(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _put(model: nn.Module, name: str, new: nn.Module) -> nn.Module:
    if not name:
        return new
    model.set_submodule(name, new)
    return model
