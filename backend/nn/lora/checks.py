"""What an adapter's configuration may say, and which layers take one."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from math import isfinite

from torch import Tensor, nn

from ...errors import UserError
from ...parameters import by_any_name
from .config import LoRA
from .factors import WeightSizes


def check_config(config: LoRA, model: nn.Module) -> None:
    """Raises `UserError` for values that no adapter has, and for globs of trained parameters that
    match none."""
    targets, rank, dropout = config.targets, config.rank, config.dropout
    if isinstance(targets, str) or not targets:
        _refuse("targets", "a tuple of globs, at least one", repr(targets), "targets=('*_proj',)")
    if isinstance(rank, bool) or not isinstance(rank, int):
        _refuse("rank", "a whole number", repr(rank), "give how many rows A has")
    if not (isfinite(config.alpha) and config.alpha > 0):
        _refuse("alpha", "a number above 0", f"{config.alpha}", "B A is multiplied by alpha / rank")
    if not 0 <= dropout < 1:
        _refuse("dropout", "a share from 0 to below 1", f"{dropout}", "0 drops none of A's inputs")
    if config.statistics not in (None, "go on", "stand still"):
        _refuse("statistics", "'go on' or 'stand still'", repr(config.statistics), "say which")
    names = [name for name, _ in model.named_parameters()]
    for glob in config.trained:
        if not any(fnmatchcase(name, glob) for name in names):
            near = ", ".join(names[:6])
            _refuse(f"trained '{glob}'", "a glob that matches parameters", "no match", near)


def check_layers(model: nn.Module, layers: Mapping[str, nn.Module], rank: int) -> None:
    """Raises `UserError` for a rank above a layer's dimensions, a tied layer, and a weight that is
    no plain parameter of floating-point numbers."""
    for name, layer in layers.items():
        _check_weight(name, layer)
        _check_rank(name, layer, rank)
    known, shared = by_any_name(model), list(model.named_modules(remove_duplicate=False))
    for name, layer in layers.items():
        names = known[f"{name}.weight".lstrip(".")].names
        places = [other for other, module in shared if module is layer]
        if len(names) > 1 or len(places) > 1:
            others = [n for n in (*names, *places) if n not in (name, f"{name}.weight")]
            _refuse(
                f"module '{name}'",
                "a layer whose weight nothing else uses",
                f"one tied with {', '.join(others)}",
                "leave it out of targets, or untie it first",
            )


def _check_weight(name: str, layer: nn.Module) -> None:
    weight = layer._parameters.get("weight")
    if weight is None or not weight.is_floating_point():
        got = "one that is computed" if weight is None else f"one of {weight.dtype}"
        _refuse(
            f"module '{name}'",
            "a weight that is a parameter of floating-point numbers",
            got,
            "leave it out of targets, or make it a plain layer first",
        )


def _check_rank(name: str, layer: nn.Module, rank: int) -> None:
    sizes = WeightSizes.of(layer)
    if not 1 <= rank <= min(sizes.into, sizes.out):
        _refuse(
            f"module '{name}'",
            f"a rank from 1 to {min(sizes.into, sizes.out)}, the smaller dimension of "
            f"{sizes.out} x {sizes.into}",
            str(rank),
            "lower the rank, or leave the layer out of targets",
        )


def check_finite(name: str, delta: Tensor) -> None:
    """Raises `UserError` for an adapter whose B A is not finite."""
    wrong = int((~delta.isfinite()).sum())
    if wrong:
        _refuse(
            f"merge of module '{name}'",
            "an adapter of finite numbers",
            f"{wrong} of {delta.numel()} weights of B A are not",
            "take an earlier checkpoint, and a lower rate",
        )


def _refuse(where: str, expected: str, got: str, change: str) -> None:
    raise UserError(f"LoRA: {where}", expected=expected, got=got, change=change)
