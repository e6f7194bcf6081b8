"""Cut a captured graph into pipeline stages, each with its own forward and backward program.

Graph --cut--> Stages
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass, replace

import torch
from torch import fx

from ..capture.graph import Graph
from ..plan.program import HOST, Origin, Source, Stage, StageProgram, Stages
from ..plan.program_graph import packet_name
from .buffer_owners import with_updates
from .group import CONTRACTIONS, Assignment, assign
from .program_cache import CutPrograms
from .subgraph import Boundary, Cutter
from .tied_weights import stream_shared


@dataclass(frozen=True)
class Cut:
    """Cut the graph into stages, each with a forward and a backward program of its own.

    before: %h = aten.relu(aten.linear(%x, %w0))    after: stage 0: linear, relu
            %y = aten.linear(%h, %w1)                      stage 1: linear            reads stage 0
            %loss = aten.mse_loss(%y, %target)             stage 2: mse_loss          reads stage 1
    """

    programs: CutPrograms | None = None

    def __call__(self, graph: Graph, assignment: Assignment) -> Stages:
        return cut(graph, assignment, programs=self.programs)


def cut(
    graph: Graph,
    assignment: Assignment | None = None,
    input_gradients: frozenset[str] = frozenset(),
    programs: CutPrograms | None = None,
) -> Stages:
    """Cut into the stages of `assignment`, by default the finest (see group.py).

    Stages come in pipeline order. Gradients go back to the inputs in `input_gradients`, too.
    What `programs` knows from another cut is not traced again.
    """
    assignment = assignment or assign(graph)
    graph, stage_of = stream_shared(graph, with_updates(graph, assignment.stage_of))
    cutter = Cutter(graph, stage_of)
    programs = programs or CutPrograms()
    needs_grad = {graph.node(name): True for name in input_gradients}
    places = {graph.node(name): Source(HOST, i) for i, name in enumerate(graph.inputs)}
    stages: list[Stage] = []
    for index in range(len(assignment.modules)):
        boundary = cutter.boundary(index)
        program, moved = programs.of(cutter, boundary, needs_grad)
        for position, node in enumerate(boundary.outputs):
            places[node] = Source(index, position)
            needs_grad[node] = program.output_needs_grad[position]
        is_merged, module = assignment.merged[index], assignment.modules[index]
        found = (module or "model") if is_merged else _name(graph, boundary)
        name = _distinct(found, {stage.name for stage in stages})
        stage = _stage(index, name, graph, boundary, program, places)
        stages.append(replace(stage, places=moved))
    results = [node for node in map(graph.node, graph.predictions) if node in places]
    return Stages(
        stages=tuple(stages),
        model_inputs=graph.input_specs,
        loss=places[graph.node(graph.loss)],
        predictions=tuple(places[node] for node in results if places[node].stage != HOST),
    )


def _stage(
    index: int,
    name: str,
    graph: Graph,
    boundary: Boundary,
    program: StageProgram,
    places: dict[fx.Node, Source],
) -> Stage:
    return Stage(
        index=index,
        name=name,
        origin=_head(graph, boundary).meta["origin"],
        program=program,
        parameters=tuple(graph.parameters[node.name] for node in boundary.parameters),
        forward_state=tuple(graph.buffers[node.name] for node in boundary.forward_state),
        backward_state=tuple(graph.buffers[node.name] for node in boundary.backward_state),
        inputs=tuple(places[node] for node in boundary.inputs),
    )


def _head(graph: Graph, boundary: Boundary) -> fx.Node:
    """The node a stage is named after: its largest layer, that is its product with most weights,
    else what reads most; without weights, its last operation."""
    largest = max(_weights(graph, boundary), key=_elements, default=None)
    if largest is None:
        return boundary.outputs[-1]
    products = _products(graph, boundary)
    if products:
        return max(products, key=products.__getitem__)
    return next(user for user in largest.users if user in boundary.nodes)


def _products(graph: Graph, boundary: Boundary) -> dict[fx.Node, int]:
    """Contractions, with the elements of all weights that they read, as they are or computed from
    weights alone."""
    read = {weight: frozenset({weight}) for weight in _weights(graph, boundary)}
    found: dict[fx.Node, int] = {}
    for node in boundary.nodes:
        weights = frozenset[fx.Node]().union(*(read.get(n, ()) for n in node.all_input_nodes))
        if packet_name(node) in CONTRACTIONS:
            found |= {node: sum(map(_elements, weights))} if weights else {}
        elif weights and all(argument in read for argument in node.all_input_nodes):
            read[node] = weights
    return found


def _weights(graph: Graph, boundary: Boundary) -> list[fx.Node]:
    """Its own, and those that the stage which owns them streams to it."""
    sent = (node for node in boundary.inputs if node.target is torch.ops.aten.clone.default)
    streamed = (node for node in sent if node.all_input_nodes[0].name in graph.parameters)
    return [*boundary.parameters, *streamed]


def _elements(parameter: fx.Node) -> int:
    return parameter.meta["val"].numel()


def _distinct(name: str, taken: Collection[str]) -> str:
    """The name, with a number where an earlier stage has it, as torch.fx numbers nodes."""
    tried = (f"{name}_{number}" for number in itertools.count(1))
    return name if name not in taken else next(one for one in tried if one not in taken)


def _name(graph: Graph, boundary: Boundary) -> str:
    head = _head(graph, boundary)
    if head.name == graph.loss:
        return "loss"
    origin: Origin = head.meta["origin"]
    operation = str(getattr(head.target, "overloadpacket", head.target)).split(".")[-1]
    if _weights(graph, boundary):
        return origin.module or operation
    return ".".join(part for part in (origin.module, operation) if part)
