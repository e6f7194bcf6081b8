"""Reversible layers held to their word: each is run on a sample and back, once, by torch itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ...backend.errors import UserError
from ...backend.nn.reversible import (
    AdditiveLayer,
    AdditiveUpdate,
    ReversibleLayer,
    ReversibleSequence,
)
from ...backend.nn.reversible.replay import noted
from ..capture.capture import own_tensors, training
from ..capture.guards.module_tree import is_weightless
from ..capture.kept.preserved import preserved
from ..capture.sample import OneSample, Sample, arguments
from ..capture.source_lines import portable

Inverse = Callable[..., tuple[Tensor, ...]]

_BOUNDS = {torch.float64: 1e-9, torch.float32: 1e-3}
"""Relative error of an inverse that is rounding; of narrower types a tenth."""


def check_inverses(sample: OneSample, inputs: Sample) -> None:
    """Run the model once on random inputs of the shapes of `inputs`, each reversible layer back.

    Additive layers are undone update by update.

    The model is afterwards as it was. One without values is not run.
    Raises UserError for a layer whose inverse gives other inputs than it was given, with the
    relative error, and for one whose functions change their inputs in place.
    """
    layers = list(_undone(sample.model))
    if not layers or any(map(is_weightless, own_tensors(sample).values())):
        return
    generator = torch.Generator().manual_seed(0)

    def drawn(value: Tensor) -> Tensor:
        if not value.is_floating_point():
            return value
        return torch.randn(value.shape, generator=generator).to(value)

    args, named = arguments(tree_map_only(Tensor, drawn, inputs))
    with preserved(sample), training(sample.model), _buffers_kept(sample), torch.no_grad():
        for chain in sample.model.modules():
            if isinstance(chain, ReversibleSequence):
                chain.keeps = True  # so that it calls its layers as they are
        for name, layer, inverse in layers:
            layer.forward = _there_and_back(name, layer, layer.forward, inverse)
        sample(*args, **named)


@contextmanager
def _buffers_kept(sample: OneSample) -> Iterator[None]:
    kept = [(buffer, buffer.clone()) for buffer in sample.buffers()]
    try:
        yield
    finally:
        for buffer, value in kept:
            buffer.copy_(value)


def _undone(model: nn.Module) -> Iterator[tuple[str, nn.Module, Inverse]]:
    """What is undone in one piece, with its path: an update of an additive layer, or a layer."""
    for name, module in model.named_modules():
        if isinstance(module, AdditiveUpdate):
            yield name, module, partial(_undo, module)
        elif isinstance(module, ReversibleLayer) and not isinstance(module, AdditiveLayer):
            yield name, module, module.inverse


def _undo(update: AdditiveUpdate, *streams: Tensor) -> tuple[Tensor, ...]:
    return update.apply_to(streams, -1)


def _there_and_back(
    name: str, layer: nn.Module, forward: Callable[..., Any], inverse: Inverse
) -> Callable[..., Any]:
    """The forward, whose inverse is tried with the draws and statistics that it found."""

    def run(*streams: Tensor) -> Any:
        given = [stream.clone() for stream in streams]
        try:
            with noted(layer, streams) as notes:
                outputs = forward(*streams)
            with notes[0].replaying():
                back = inverse(*outputs)
        except UserError as error:
            raise UserError(
                _place(name, layer), expected=error.expected, got=error.got, change=error.change
            ) from error
        _check(name, layer, given, back)
        return outputs

    return run


def _check(name: str, layer: nn.Module, given: Sequence[Tensor], back: Sequence[Tensor]) -> None:
    shapes = [tuple(value.shape) for value in given], [tuple(value.shape) for value in back]
    if shapes[0] != shapes[1]:
        raise _refused(name, layer, f"shapes {shapes[1]} for inputs of {shapes[0]}")
    for number, (one, other) in enumerate(zip(given, back, strict=True)):
        error = float((one.double() - other.double()).norm() / one.double().norm().clamp_min(1e-30))
        if not error <= _BOUNDS.get(one.dtype, 0.1):
            raise _refused(name, layer, f"input {number} with a relative error of {error:.3g}")


def _refused(name: str, layer: nn.Module, got: str) -> UserError:
    return UserError(
        _place(name, layer),
        expected="an inverse that gives the layer's inputs back from its outputs",
        got=got,
        change="correct inverse(): it is given the draws and the running statistics of the forward,"
        " no statistics of a batch; or build the sequence with keeps=True",
    )


def _place(name: str, layer: nn.Module) -> str:
    """The module, its class and the line where that begins."""
    try:
        file = portable(inspect.getsourcefile(type(layer)) or "")
        where = f" ({file}:{inspect.getsourcelines(type(layer))[1]})"
    except (OSError, TypeError):  # a class that was typed in
        where = ""
    return f"{name or '<model>'}, a reversible {type(layer).__name__}{where}"
