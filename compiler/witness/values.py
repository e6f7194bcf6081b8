"""Which numbers a witness computes with: those of the model, or seeded ones where it has none.

A tensor whose elements are all the same hides what multiplies it: behind a layer of zeros every
gradient is zero, right or wrong. Parameters, floating-point buffers and inputs of that kind get
seeded noise, buffers a positive one: a root may be taken of them. The captured graph is the same
function for all numbers.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from ..capture.guards.module_tree import is_weightless
from ..capture.sample import OneSample, Sample
from .eager import buffers, parameters

_NOISE = 0.05
_AROUND_ZERO = ("mean", "bias", ".u", ".v")
"""Names of state that is around zero, as averages of values and of gradients are. A mean of 1 makes
most rectifiers behind a normalization shut, and the gradients before them zero."""
_LITERAL = "lifted_tensor"
"""How torch.export calls a tensor that the forward makes of numbers."""
_MOST_LITERALS = 10_000


@dataclass(frozen=True)
class Values:
    """Numbers of a model's parameters and buffers by their first names, and of its inputs,
    floating-point ones in one type."""

    parameters: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    inputs: Sample

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Parameters and buffers."""
        return {**self.parameters, **self.buffers}


def values_of(sample: OneSample, inputs: Sample, dtype: torch.dtype) -> Values:
    """Numbers for a step in `dtype`; those on the meta device are made up, from their names."""
    count = iter(range(10**6))
    return Values(
        {name: _weights(name, value, dtype) for name, value in parameters(sample).items()},
        {name: _state(name, value, dtype) for name, value in buffers(sample).items()},
        tree_map_only(Tensor, lambda t: _input(f"input {next(count)}", t, dtype), inputs),
    )


def as_written(constants: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Constants of a graph; the literals among them (0.1 in `h[mask] = 0.1`), which the trace keeps
    as tensors of the model's type, as the decimal numbers that the program says."""
    return {
        name: _decimal(value, dtype) if name.startswith(_LITERAL) else value
        for name, value in constants.items()
    }


def has_literals(constants: Mapping[str, Tensor]) -> bool:
    """Whether `as_written` may change one."""
    return any(name.startswith(_LITERAL) for name in constants)


def _decimal(value: Tensor, dtype: torch.dtype) -> Tensor:
    if value.dtype is not torch.float32 or value.numel() > _MOST_LITERALS:
        return value
    numbers = [float(str(number)) for number in value.detach().numpy().ravel()]
    return torch.tensor(numbers, dtype=dtype).reshape(value.shape)


def _weights(name: str, value: Tensor, dtype: torch.dtype) -> Tensor:
    if not value.is_floating_point():
        return torch.zeros(value.shape, dtype=value.dtype) if is_weightless(value) else value.data
    if is_weightless(value):
        fan_in = value[0].numel() if value.ndim > 1 else 1
        centre = 1.0 if value.ndim == 1 and name.endswith("weight") else 0.0
        scale = fan_in**-0.5 if value.ndim > 1 else 2 * _NOISE
        return centre + scale * _normal(name, value, dtype)
    return apart_from_flat(name, value.detach().to(dtype))


def apart_from_flat(name: str, value: Tensor) -> Tensor:
    """A tensor with seeded noise if all of its elements are the same."""
    if not _is_flat(value):
        return value
    size = max(1.0, float(value.flatten()[0].abs()))
    return value + _NOISE * size * _normal(name, value, value.dtype)


def state_apart_from_flat(name: str, value: Tensor) -> Tensor:
    """State with positive noise if it is as it begins: zeros, by which a mean hides how fast it
    moves. A single number may be a count or a flag, which decides what is computed first."""
    if value.numel() < 2 or not _is_flat(value):
        return value
    return value + _NOISE * _normal(name, value, value.dtype).abs()


def _state(name: str, value: Tensor, dtype: torch.dtype) -> Tensor:
    if not is_weightless(value):
        if not value.is_floating_point():
            return value.detach()
        return state_apart_from_flat(name, value.detach().to(dtype))
    if value.is_floating_point():
        centre = 0.0 if name.endswith(_AROUND_ZERO) else 1.0
        return centre + 2 * _NOISE * _normal(name, value, dtype)
    is_mask = value.dtype is torch.bool
    return torch.full(value.shape, is_mask, dtype=value.dtype)


def _input(name: str, value: Tensor, dtype: torch.dtype) -> Tensor:
    if not value.is_floating_point():
        is_given = not is_weightless(value)
        return value.detach() if is_given else torch.ones(value.shape, dtype=value.dtype)
    if is_weightless(value):
        return _normal(name, value, dtype)
    wide = value.detach().to(dtype)
    is_odd = _is_flat(wide) or not bool(torch.isfinite(wide).all())
    return _normal(name, value, dtype) if is_odd else wide


def _is_flat(value: Tensor) -> bool:
    """Whether all elements are the same, so that they say little; a single one only if it is 0."""
    if value.numel() < 2:
        return value.numel() == 1 and not bool(value.any())
    first = value.flatten()
    return bool(first[0] == first[1]) and bool((value == first[0]).all())


def _normal(name: str, value: Tensor, dtype: torch.dtype) -> Tensor:
    """Numbers that depend on the name alone, in the shape of a tensor."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    drawn = torch.randn(value.shape, generator=generator, dtype=torch.float32)
    return drawn.to(dtype=dtype, device="cpu" if is_weightless(value) else value.device)
