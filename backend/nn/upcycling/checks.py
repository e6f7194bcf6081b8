"""What cannot be upcycled, and numbers that no mixture has: refused before the work starts."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import get_args

from torch import nn

from ...errors import UserError
from ...parameters import by_any_name, places
from ...sparsity.eager.attached import held_in
from ..lora.layers import adapted_paths
from .feed_forward import FeedForward
from .router import RoutingOrder
from .scaling import Scaling


def check_losses(balance: float, z: float, jitter: float) -> None:
    """Raises `UserError` for weights of losses below 0, and for jitter outside of [0, 1)."""
    for name, value, most in (("balance", balance, None), ("z", z, None), ("jitter", jitter, 1)):
        if not isfinite(value) or value < 0 or (most is not None and value >= most):
            raise UserError(
                f"upcycling: {name}",
                expected="a number from 0 on" + ("" if most is None else f" and below {most}"),
                got=str(value),
                change="0 leaves it out",
            )


def check_names(order: str, scaling: str | None) -> None:
    """Raises `UserError` for an order or a scaling that there is not."""
    known = ("order", order, get_args(RoutingOrder)), ("scaling", scaling, (*_scalings(), None))
    for name, got, names in known:
        if got not in names:
            raise UserError(
                f"upcycling: {name}",
                expected=" or ".join(map(repr, names)),
                got=repr(got),
                change="see weft.nn.upcycle",
            )


def _scalings() -> tuple[str, ...]:
    return get_args(Scaling)


def refuse_adapted(model: nn.Module, found: Mapping[str, nn.Module]) -> None:
    """Raises `UserError` for layers with low-rank adapters."""
    for name in found:
        inside = sorted(path for path in adapted_paths(model) if f"{path}.".startswith(f"{name}."))
        if inside:
            raise UserError(
                f"upcycling of module '{name}'",
                expected="a layer without adapters",
                got=f"adapters on {', '.join(inside[:4])}",
                change="merge them first (weft.nn.lora.merge)",
            )


def refuse_tied(model: nn.Module, found: Mapping[str, nn.Module]) -> None:
    """Raises `UserError` for layers, or weights of theirs, that the model has in other places."""
    everywhere = list(model.named_modules(remove_duplicate=False))
    known = by_any_name(model)
    for name, module in found.items():
        others = [other for other, one in everywhere if one is module and other != name]
        for key, _ in module.named_parameters():
            names = known[f"{name}.{key}".lstrip(".")].names
            others += [n for n in names if not n.startswith(f"{name}.".lstrip("."))]
        if others:
            raise UserError(
                f"upcycling of module '{name}'",
                expected="a layer whose weights nothing else uses",
                got=f"one tied with {', '.join(dict.fromkeys(others))}",
                change="untie it first, or leave it out of layers",
            )


def refuse_masked(model: nn.Module, found: Mapping[str, nn.Module]) -> None:
    """Raises `UserError` for layers with masks in force."""
    held = [name for name in held_in(places(model)) if name.startswith(tuple(found))]
    if held:
        raise UserError(
            "upcycling of a sparse model",
            expected="feed-forward layers without masks",
            got=f"masks in force on {', '.join(held[:4])}",
            change="weft.sparsity.release(copy of the model) first, and make the experts sparse",
        )


def check_numbers(experts: int, top_k: int, granularity: int, capacity: float | None) -> None:
    """Raises `UserError` for numbers that no mixture has."""
    if granularity < 1 or experts < 2 or experts % granularity:
        raise UserError(
            "upcycling: experts",
            expected=f"a multiple of the granularity, {granularity}, and at least 2",
            got=str(experts),
            change="as many copies of each of the shards",
        )
    if not 1 <= top_k < experts or top_k % granularity:
        raise UserError(
            "upcycling: top_k",
            expected=f"a multiple of the granularity, {granularity}, below the {experts} experts",
            got=str(top_k),
            change="choose whole copies; if all are chosen their gradients are the same and they "
            "stay equal",
        )
    if capacity is not None and not (isfinite(capacity) and capacity > 0):
        raise UserError(
            "upcycling: capacity",
            expected="a factor above 0, such as 1.25, or None for dropless",
            got=str(capacity),
            change="an expert takes ceil(capacity * tokens * top_k / experts) tokens",
        )


def check_hidden(name: str, layer: FeedForward, granularity: int) -> None:
    """Raises `UserError` for hidden units that the granularity does not divide."""
    if layer.hidden % granularity:
        raise UserError(
            f"upcycling of module '{name}'",
            expected=f"hidden units that the granularity, {granularity}, divides",
            got=f"{layer.hidden}",
            change="take a granularity that divides them",
        )
