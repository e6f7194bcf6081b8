"""A chain of reversible layers that keeps its last output only.

The backward pass rebuilds the input of each layer from its output, evaluates its functions once
more as they were (replay.py), pulls the gradient through them and goes on to the layer before. An
additive update costs one evaluation more than a layer that keeps its activations; a layer of
another kind costs its inverse too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ...errors import UserError
from .kept import KeptActivations
from .layer import AdditiveLayer, AdditiveUpdate, ReversibleLayer, TensorStreams
from .replay import FirstEvaluation, gradients_of_replay, noted

Gradients = dict[Tensor, Tensor]
"""Of parameters, summed over all uses."""
_Undo = Callable[[list[Tensor], list[Tensor], Gradients], None]
"""Turns streams and their gradients after a step into those before it, in place."""


class ReversibleSequence(nn.Module):
    """Applies reversible layers to one stream or several; keeps nothing but their last output.

    Gradients, draws and running statistics are those of the same layers with all activations kept.
    With `keeps` activations are kept; so they are under `torch.export` and `torch.compile`, where a
    compiler decides. Second derivatives are not defined. Raises UserError for a layer that is not
    reversible, and for a function that changes its input in place.
    """

    def __init__(self, *layers: ReversibleLayer, keeps: bool = False) -> None:
        super().__init__()
        for position, layer in enumerate(layers):
            if not isinstance(layer, ReversibleLayer):
                raise UserError(
                    f"ReversibleSequence: layer {position}",
                    expected="a weft.nn.reversible.ReversibleLayer",
                    got=type(layer).__name__,
                    change="derive from it and give forward and inverse, or put the layer outside",
                )
        self.layers, self.keeps = nn.ModuleList(layers), keeps

    def forward(self, *streams: Tensor) -> Tensor | TensorStreams:
        """The outputs of the last layer: a tensor if it is one, else a tuple."""
        needed = torch.is_grad_enabled() and not self.keeps and not _is_compiling()
        outputs = self._without_keeping(streams) if needed else self._plain(streams)
        return outputs[0] if len(outputs) == 1 else outputs

    def inverse(self, *streams: Tensor) -> Tensor | TensorStreams:
        """The inputs that `forward` maps to these outputs."""
        for layer in reversed(self.layers):
            streams = layer.inverse(*streams)  # type: ignore[operator]
        return streams[0] if len(streams) == 1 else streams

    def _plain(self, streams: TensorStreams) -> TensorStreams:
        for layer in self.layers:
            streams = layer(*streams)
        return streams

    def _without_keeping(self, streams: TensorStreams) -> TensorStreams:
        parameters = [p for p in self.parameters() if p.requires_grad]
        if not parameters and not any(stream.requires_grad for stream in streams):
            return self._plain(streams)
        outputs = _Chain.apply(tuple(self.layers), len(streams), *streams, *parameters)
        return cast("TensorStreams", outputs)


class _Chain(torch.autograd.Function):
    """The chain as one differentiable operation of streams and parameters."""

    @staticmethod
    def forward(ctx: Any, layers: Sequence[ReversibleLayer], count: int, *inputs: Tensor) -> Any:
        streams, undo = inputs[:count], []
        for layer in layers:
            for step in _steps(layer):
                streams = step(streams, undo)
        outputs = tuple(s.clone() if any(s is i for i in inputs) else s for s in streams)
        ctx.undo, ctx.parameters = undo, inputs[count:]
        ctx.kept = [KeptActivations.of(output) for output in outputs]
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:  # type: ignore[override]
        streams, ctx.kept = [kept.take() for kept in _once(ctx.kept)], None
        arriving = [
            torch.zeros_like(stream) if gradient is None else gradient
            for stream, gradient in zip(streams, gradients, strict=True)
        ]
        found: Gradients = {}
        for undo in reversed(ctx.undo):
            undo(streams, arriving, found)
        return (None, None, *arriving, *(found.get(p) for p in ctx.parameters))


def _once(kept: list[KeptActivations] | None) -> list[KeptActivations]:
    """What was kept. Raises UserError in a second backward of the same forward."""
    if kept is None:
        raise UserError(
            "backward of a reversible chain",
            expected="one backward for each forward",
            got="a second one",
            change="run the forward again, or build the sequence with keeps=True",
        )
    return kept


_Step = Callable[[TensorStreams, list[_Undo]], TensorStreams]


def _steps(layer: ReversibleLayer) -> Iterator[_Step]:
    """What a layer does, step by step; each step notes how it is undone."""
    if not isinstance(layer, AdditiveLayer):
        yield lambda streams, undo: _whole(layer, streams, undo)
        return
    for update in layer.updates():
        yield lambda streams, undo, update=update: _update(update, streams, undo)
    if layer.order is not None:
        yield lambda streams, undo: _permutation(layer, streams, undo)


def _update(update: AdditiveUpdate, streams: TensorStreams, undo: list[_Undo]) -> TensorStreams:
    with noted(update, streams) as notes:
        streams = update.apply_to(streams)
    undo.append(lambda *held: _undo_update(update, notes[0], *held))
    return streams


def _undo_update(
    update: AdditiveUpdate,
    evaluation: FirstEvaluation,
    streams: list[Tensor],
    gradients: list[Tensor],
    found: Gradients,
) -> None:
    """x <- y - f(x'); the gradient of y is that of f, whose pull-back adds to that of x'."""
    number, target = update.target.stream, update.target
    gradient = target.of(gradients[number])
    parts = [part.detach().requires_grad_() for part in update.read(streams)]
    with evaluation.replaying(), torch.enable_grad():
        change = update.change(parts)
    pulled = _pull_back([change], [gradient], parts, update, found)
    if update.creates:
        del streams[number], gradients[number]
    else:
        before = target.of(streams[number]) - change.detach()
        streams[number] = target.put(streams[number], before)
    for source, part in zip(update.sources, pulled, strict=True):
        if part is not None:
            whole = gradients[source.stream]
            gradients[source.stream] = source.put(whole, source.of(whole) + part)


def _permutation(layer: AdditiveLayer, streams: TensorStreams, undo: list[_Undo]) -> TensorStreams:
    def back(streams: list[Tensor], gradients: list[Tensor], found: Gradients) -> None:
        streams[:] = layer.permuted_back(streams)
        gradients[:] = layer.permuted_back(gradients)

    undo.append(back)
    return tuple(layer.permuted(streams))


def _whole(layer: ReversibleLayer, streams: TensorStreams, undo: list[_Undo]) -> TensorStreams:
    with noted(layer, streams) as notes:
        outputs = layer(*streams)
    undo.append(lambda *held: _undo_whole(layer, notes[0], *held))
    return outputs


def _undo_whole(
    layer: ReversibleLayer,
    evaluation: FirstEvaluation,
    streams: list[Tensor],
    gradients: list[Tensor],
    found: Gradients,
) -> None:
    with evaluation.replaying(), torch.no_grad():
        inputs = [stream.detach() for stream in layer.inverse(*streams)]
    given = [stream.requires_grad_() for stream in inputs]
    with evaluation.replaying(), torch.enable_grad():
        outputs = layer(*given)
    pulled = _pull_back(outputs, gradients, given, layer, found)
    streams[:] = [stream.detach() for stream in given]
    gradients[:] = [
        torch.zeros_like(stream) if gradient is None else gradient
        for stream, gradient in zip(given, pulled, strict=True)
    ]


def _pull_back(
    outputs: Sequence[Tensor],
    gradients: Sequence[Tensor],
    inputs: Sequence[Tensor],
    module: nn.Module,
    found: Gradients,
) -> Sequence[Tensor | None]:
    """Gradients of the inputs; those of parameters are added to `found`."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    pairs = [(o, g) for o, g in zip(outputs, gradients, strict=True) if o.requires_grad]
    given, arriving = [output for output, _ in pairs], [gradient for _, gradient in pairs]
    pulled = gradients_of_replay(given, arriving, inputs, parameters)
    for parameter, gradient in zip(parameters, pulled[len(inputs) :], strict=True):
        if gradient is not None:
            found[parameter] = found[parameter] + gradient if parameter in found else gradient
    return pulled[: len(inputs)]


def _is_compiling() -> bool:
    return torch.compiler.is_exporting() or torch.compiler.is_dynamo_compiling()
