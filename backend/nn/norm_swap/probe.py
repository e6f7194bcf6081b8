"""Finds by trial which axes a normalization normalizes, and the affine map that follows."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...errors import UserError

_INVARIANT, _EQUAL = 1e-2, 1e-3
"""Relative differences that rounding and an eps of up to 1e-2 explain, for inputs of spread 10."""


@dataclass(frozen=True)
class NormLayout:
    """`axis` of the features is 1 or -1; `over_positions`: whether a position's output depends on
    other positions of the sample, or on other samples."""

    axis: int
    over_positions: bool


@dataclass(frozen=True)
class AffineProbe:
    """What multiplies and what is added to the normalized features, (features,) each."""

    weight: Tensor
    bias: Tensor


def layout_of(name: str, module: nn.Module, features: int) -> NormLayout:
    """Where `module` finds its features and what it normalizes them over.

    It is tried on inputs (2, features, *positions) and (2, *positions, features). Raises
    `UserError` if it takes neither or both, or if its output is not a normalization: one that
    depends on other elements and stays as it is when the input is multiplied by 4.
    """
    _refuse_more_inputs(name, module)
    concrete = _with_weights(_concrete(module))
    layouts = {
        NormLayout(axis, _sees_positions(name, concrete, x, y, axis))
        for axis, x, y in _taken(concrete, features)
    }
    if len(layouts) != 1:
        raise _unclear(
            name,
            f"a {type(module).__name__} that takes "
            + ("both" if layouts else "neither")
            + f" (N, {features}, *positions) "
            + ("and" if layouts else "nor")
            + f" (N, *positions, {features})",
        )
    return layouts.pop()


def affine_of(module: nn.Module, features: int, layout: NormLayout) -> AffineProbe | None:
    """The affine map of a norm of each position's features, by their mean and variance or by their
    mean square; None if the module is anything else."""
    if layout.over_positions:
        return None
    concrete = _concrete(module)
    x = next(x for axis, x, _ in _taken(concrete, features) if axis == layout.axis)
    there, back = (concrete.forward(value).movedim(layout.axis, -1) for value in (x, -x))
    odd, even = ((there - back) / 2).flatten(0, -2), ((there + back) / 2).flatten(0, -2)
    x = x.movedim(layout.axis, -1).flatten(0, -2)
    for centred in (x - x.mean(-1, keepdim=True), x):
        plain = centred / centred.square().mean(-1, keepdim=True).sqrt()
        weight = (odd * plain).sum(0) / plain.square().sum(0)
        bias = even.mean(0)
        far = torch.maximum((odd - weight * plain).abs().max(), (even - bias).abs().max())
        if far <= _EQUAL * max(float(there.abs().max()), 1e-9):
            return AffineProbe(weight, bias)
    return None


def _taken(module: nn.Module, features: int) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Axis of the features, input and output of each form of input that the module takes."""
    a, b, c = [size for size in range(3, 7) if size != features][:3]
    shapes = {1: [(a, b), (a,), (a, b, c)], -1: [(a,), (a, b), (a, b, c)]}
    draws = torch.Generator().manual_seed(0)
    for axis, all_positions in shapes.items():
        for positions in all_positions:
            inner = (features, *positions) if axis == 1 else (*positions, features)
            x = 10 * torch.randn(2, *inner, generator=draws)
            try:
                with torch.no_grad():
                    y = module.forward(x)
            except Exception:
                continue  # the module does not take this form
            if isinstance(y, Tensor) and y.shape == x.shape:
                yield axis, x, y


@torch.no_grad()
def check_does_no_more(
    name: str, module: nn.Module, kind: type[nn.Module], features: int, layout: NormLayout
) -> None:
    """Raises `UserError` unless `module`, whose class is derived from `kind` and has a forward of
    its own, computes what `kind` does on the axis of the layout, and then what its children do."""
    concrete, own_axis = _with_weights(_concrete(module)), axis_of(kind)
    x, y = next((x, y) for axis, x, y in _taken(concrete, features) if axis == layout.axis)
    plain = kind.forward(concrete, x.movedim(layout.axis, own_axis).contiguous())
    plain = plain.movedim(own_axis, layout.axis)
    for child in concrete.children():
        plain = child(plain)
    if float((plain - y).abs().max()) > _INVARIANT * float(y.abs().max()):
        raise _unclear(name, f"a {type(module).__name__}, which does more than a {kind.__name__}")


def axis_of(kind: type[nn.Module]) -> int:
    """Where a normalization of torch has its features."""
    return -1 if issubclass(kind, nn.LayerNorm | nn.RMSNorm) else 1


@torch.no_grad()
def _sees_positions(name: str, module: nn.Module, x: Tensor, y: Tensor, axis: int) -> bool:
    scale = float(y.abs().max())
    if float((module.forward(4 * x) - y).abs().max()) > _INVARIANT * scale:
        raise _unclear(name, f"a {type(module).__name__} whose output grows with its input")
    features = x.movedim(axis, -1)
    other = features.clone()
    other[(0,) * features.dim()] += 30
    change = (module.forward(other.movedim(-1, axis).contiguous()) - y).abs().movedim(axis, -1)
    has_changed = (change > 1e-5 * scale).flatten(0, -2)
    is_elsewhere, is_here = bool(has_changed[1:].any()), int(has_changed[0].sum()) > 1
    if not is_elsewhere and not is_here:
        raise _unclear(name, f"a {type(module).__name__} of single elements")
    return is_elsewhere


def _concrete(module: nn.Module) -> nn.Module:
    """A copy on the CPU, in float32, whose statistics are those of its input."""
    copied = copy.deepcopy(module)
    if any(tensor.is_meta for tensor in copied.parameters()):
        copied = _with_weights(copied.to_empty(device="cpu"))
    return copied.cpu().float().train(isinstance(module, _BatchNorm)).requires_grad_(False)


def _with_weights(module: nn.Module) -> nn.Module:
    """The module with seeded weights: those of zero, as the last norms of residual branches begin,
    would hide what it does."""
    draws = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data.uniform_(0.5, 1.5, generator=draws)
    return module


def _refuse_more_inputs(name: str, module: nn.Module) -> None:
    parameters = inspect.signature(module.forward).parameters
    if len(parameters) > 1:
        got = f"a {type(module).__name__} that takes {', '.join(parameters)}"
        raise _unclear(name, got)


def _unclear(name: str, got: str) -> UserError:
    return UserError(
        f"module '{name}'",
        expected="a normalization of (N, features, *positions) or of (N, *positions, features)",
        got=got,
        change="override it with 'keep', or replace it by hand",
    )
