"""The programs of the stages, run one after the other: no pipeline, no delay, no update."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from ..plan.program import HOST, Source, Stage
from .precision import Wide

Arrived = dict[Source, Tensor]


class StagedRun:
    """A forward of all stages and then their backward, in floating-point type `dtype`.

    `tensors` are parameters and state by name, `inputs` those of the model.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        tensors: Mapping[str, Tensor],
        inputs: Sequence[Tensor],
        dtype: torch.dtype,
    ) -> None:
        self.stages, self.tensors, self.inputs, self.dtype = stages, tensors, inputs, dtype
        self.values = {Source(HOST, number): value for number, value in enumerate(inputs)}
        self.state: dict[str, Tensor] = {}
        self.rebuilt: Arrived = {}
        self.arrived: Arrived = {}
        self._saved: list[Sequence[Tensor]] = []

    def forward(self) -> None:
        """Fill `values` with what each stage puts out, and `state` with the next state."""
        with torch.no_grad(), Wide(self.dtype):
            for stage in self.stages:
                self._forward(stage)

    def backward(self, arriving: Mapping[Source, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Name and gradient of each parameter, given the gradients of outputs; last stage first.

        Then `state` has what the backward advances, too, and `arrived` the gradients of inputs.
        """
        arrived = self.arrived = dict(arriving)
        with torch.no_grad(), Wide(self.dtype):
            for stage in reversed(self.stages):
                yield from self._backward(stage, arrived)

    def _forward(self, stage: Stage) -> None:
        own = [self.tensors[name] for name in (*stage.parameters, *stage.forward_state)]
        given = [self.values[source] for source in stage.inputs]
        results = run(stage.program.forward, [*own, *given])
        outputs = len(stage.program.outputs)
        saved = outputs + len(stage.forward_state)
        for number, value in enumerate(results[:outputs]):
            self.values[Source(stage.index, number)] = value
        self.state |= dict(zip(stage.forward_state, results[outputs:saved], strict=True))
        self._saved.append(results[saved:])

    def _backward(self, stage: Stage, arrived: Arrived) -> Iterator[tuple[str, Tensor]]:
        program = stage.program
        own = [self.tensors[name] for name in (*stage.parameters, *stage.backward_state)]
        tangents = [
            self._tangent(Source(stage.index, number), arrived)
            for number, is_needed in enumerate(program.output_needs_grad)
            if is_needed
        ]
        given_back = [self.rebuilt[source] for source in stage.arriving]
        given = [*own, *self._saved.pop(), *tangents, *given_back]
        results = iter(run(program.backward, given))
        for name, is_trained in zip(stage.parameters, program.trainable, strict=True):
            if is_trained:
                yield name, next(results)
        for source, is_needed in zip(stage.inputs, program.input_needs_grad, strict=True):
            if is_needed:
                gradient = next(results)
                arrived[source] = arrived[source] + gradient if source in arrived else gradient
        self.state |= {name: next(results) for name in stage.backward_state}
        sources = (stage.inputs[number] for number in program.rebuilt)
        self.rebuilt |= dict(zip(sources, results, strict=True))

    def _tangent(self, source: Source, arrived: Arrived) -> Tensor:
        return arrived.pop(source) if source in arrived else torch.zeros_like(self.values[source])


def run(module: fx.GraphModule, arguments: Sequence[Tensor]) -> list[Tensor]:
    """What a graph returns, node by node; a value is let go where it was read last."""
    last = _last_readers(module)
    given = iter(arguments)
    values: dict[fx.Node, Any] = {}
    for node in module.graph.nodes:
        if node.op == "placeholder":
            values[node] = next(given)
        elif node.op == "call_function":
            args, named = fx.map_arg((node.args, node.kwargs), values.__getitem__)  # type: ignore
            values[node] = node.target(*args, **named)  # type: ignore[operator]
        else:
            # as stages hand them on
            return [values[result].contiguous() for result in node.args[0]]  # type: ignore[union-attr, index]
        for done in last.get(node, ()):
            del values[done]
    raise AssertionError("a graph ends in its output")


def _last_readers(module: fx.GraphModule) -> dict[fx.Node, list[fx.Node]]:
    """Node -> the nodes that nobody reads after it."""
    found: dict[fx.Node, list[fx.Node]] = {}
    seen: set[fx.Node] = set()
    for node in reversed(list(module.graph.nodes)):
        for operand in node.all_input_nodes:
            if operand not in seen:
                seen.add(operand)
                found.setdefault(node, []).append(operand)
    return found
