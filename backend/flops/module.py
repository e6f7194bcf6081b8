"""The ledger of a torch module: one forward on the meta device, nothing is computed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import FlopCounterMode

from .ledger import Kind, Layer, Ledger

_BATCHED = ("bmm", "scaled_dot_product")


def module_ledger(
    model: nn.Module,
    example_inputs: tuple[Any, ...],
    masks: Mapping[str, Tensor] | None = None,
    *,
    vocabulary: tuple[str, ...] = ("*lm_head*",),
) -> Ledger:
    """Linear and convolution layers in the order they run, then products without such a layer.

    `example_inputs` is one sample with its batch dimension of 1. `masks` (parameter name to bool
    mask) give the densities. Linear layers whose name matches a glob of `vocabulary` are of that
    kind. Batched products are of kind attention, all that is left is other. A layer that runs
    twice has two rows. Raises `UserError` for a mask of no layer's weight.
    """
    rows: list[Layer] = []
    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if isinstance(module, nn.Linear | _ConvNd):
                hook = partial(_record, rows, name, _kind(name, module, vocabulary))
                hooks.callback(module.register_forward_hook(hook).remove)
        counted = _macs_on_meta(model, example_inputs)
    batched = sum(macs for op, macs in counted.items() if any(part in op for part in _BATCHED))
    other = sum(counted.values()) - batched - sum(row.macs for row in rows)
    rows += [Layer("batched products", "attention", batched)] if batched else []
    rows += [Layer("other products", "other", other)] if other else []
    ledger = Ledger(tuple(rows))
    return ledger.with_densities({name: _density(mask) for name, mask in (masks or {}).items()})


def _record(
    rows: list[Layer],
    name: str,
    kind: Kind,
    module: nn.Module,
    inputs: tuple[Any, ...],
    out: Tensor,
) -> None:
    """Every weight is used once per position; a position is all the channels at one place."""
    assert isinstance(module, nn.Linear | _ConvNd)
    weight = module.weight
    if isinstance(module, nn.Linear):
        positions = out.numel() // module.out_features
    elif isinstance(module, _ConvTransposeNd):
        positions = inputs[0].numel() // module.in_channels
    else:
        positions = out.numel() // module.out_channels
    rows.append(Layer(name, kind, positions * weight.numel(), f"{name}.weight".lstrip(".")))


def _kind(name: str, module: nn.Module, vocabulary: tuple[str, ...]) -> Kind:
    if isinstance(module, _ConvNd):
        return "convolution"
    return "vocabulary" if any(fnmatchcase(name, glob) for glob in vocabulary) else "linear"


def _macs_on_meta(model: nn.Module, example_inputs: tuple[Any, ...]) -> dict[str, int]:
    """Multiply-accumulates of one forward by operator name."""
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    on_meta = {name: tensor.to("meta") for name, tensor in state.items()}
    inputs = tree_map_only(Tensor, lambda tensor: tensor.to("meta"), example_inputs)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        functional_call(model, on_meta, inputs)
    return {str(op): flops // 2 for op, flops in counter.get_flop_counts()["Global"].items()}


def _density(mask: Tensor) -> float:
    return int(mask.sum()) / max(mask.numel(), 1)
