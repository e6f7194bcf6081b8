"""A graph whose loss is elsewhere, cut into stages: what `torch.compile` hands to a backend.

Such a graph gives outputs and later receives their gradients. So that it can be cut like a whole
model, the sum of its outputs stands for the loss, in a last stage of its own that is never run:
gradients arrive at the outputs.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export.graph_signature import OutputKind

from ...backend.errors import UnsupportedError
from ..capture.capture import graph_of
from ..capture.export import export_sample
from ..capture.graph import Graph
from ..capture.sample import OneSample
from ..plan.program import HOST, Source, Stage, Stages
from ..plan.program_graph import ancestors, extract
from .cut import cut
from .group import Assignment, assign, sample_dependent


@dataclass(frozen=True)
class OpenGraph:
    """`graph` ends in the sum of its outputs; `stages` are all but that sum.

    `outputs` says where each output is made: by a stage, or by the host (an input given back).
    `counters` computes the next values of the buffers `counted`, which it takes: those that no
    stage updates, since they do not depend on the inputs (how many batches there were).
    """

    graph: Graph
    stages: tuple[Stage, ...]
    outputs: tuple[Source, ...]
    counted: tuple[str, ...]
    counters: fx.GraphModule


def trace_open(
    module: nn.Module, inputs: Sequence[Tensor], input_gradients: Iterable[int]
) -> OpenGraph:
    """The stages of `module(*inputs)`, which returns a tuple of tensors.

    Gradients go back to the module's parameters and to the inputs numbered in `input_gradients`.
    Raises UnsupportedError for outputs that do not depend on the inputs, for inputs that are
    changed in place, and for what `capture` cannot trace.
    """
    sample = OneSample(module, outputs_summed)
    traced = export_sample(sample, (*inputs, None))
    _refuse_changed_inputs(traced.exported.graph_signature.output_specs)
    graph = graph_of(traced, sample)
    names = frozenset(graph.inputs[number] for number in input_gradients)
    stages = cut(graph, _sum_apart(graph), names)
    own, outputs = stages.stages[:-1], tuple(_places(graph, stages))
    return OpenGraph(graph, own, outputs, *_counters(graph, own))


def outputs_summed(outputs: Sequence[Tensor], _: object) -> Tensor:
    """The loss that stands for the one outside."""
    values = (value if value.is_floating_point() else value.float() for value in outputs)
    return functools.reduce(torch.add, (value.sum() for value in values))


def _refuse_changed_inputs(specs: Iterable[Any]) -> None:
    for spec in specs:
        if spec.kind is OutputKind.USER_INPUT_MUTATION:
            raise UnsupportedError(
                f"input {spec.target} of a compiled graph",
                expected="inputs that are read only",
                got="one that is changed in place",
                change="change a copy: x = x.clone()",
            )


def _sum_apart(graph: Graph) -> Assignment:
    """The finest stages, but the sum of the outputs in one of its own after all others."""
    finest = assign(graph)
    results = [*graph.predictions, *graph.state_updates.values()]
    own = ancestors([graph.node(name) for name in results])
    last = max((stage for node, stage in finest.stage_of.items() if node in own), default=-1) + 1
    return Assignment(
        {node: stage if node in own else last for node, stage in finest.stage_of.items()},
        modules=(*finest.modules[:last], ""),
        merged=(False,) * (last + 1),
        edges=finest.edges,
    )


def _counters(graph: Graph, stages: Sequence[Stage]) -> tuple[tuple[str, ...], fx.GraphModule]:
    """The buffers that no stage updates, and a graph of their next values."""
    updated = {name for stage in stages for name in stage.forward_state}
    counted = tuple(name for name in graph.state_updates if name not in updated)
    placeholder = {name: key for key, name in graph.buffers.items()}
    takes = [graph.node(placeholder[name]) for name in counted]
    return counted, extract(takes, [graph.node(graph.state_updates[name]) for name in counted])


def _places(graph: Graph, stages: Stages) -> Iterable[Source]:
    """Where each output is made; `stages.predictions` are those that stages make, in order."""
    made, dependent = iter(stages.predictions), {node.name for node in sample_dependent(graph)}
    for number, name in enumerate(graph.predictions):
        if name in graph.inputs:
            yield Source(HOST, graph.inputs.index(name))
        elif name in dependent:
            yield next(made)
        else:
            raise UnsupportedError(
                f"output {number} of a compiled graph",
                expected="a value that depends on the graph's inputs",
                got="one that depends on weights and constants alone",
                change="compute it outside of what torch.compile compiles",
            )
