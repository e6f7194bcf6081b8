"""Pulls one stage's nodes out of a captured graph as a graph of its own, inputs sorted by role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor, fx

from ..capture.graph import Graph, backward_state_arguments
from ..plan.program_graph import extract, spec_of
from .buffer_owners import next_states, owners
from .joint import Subgraph


@dataclass(frozen=True)
class Boundary:
    """What a stage reads and yields, as nodes of the captured graph."""

    nodes: tuple[fx.Node, ...]
    parameters: tuple[fx.Node, ...]
    forward_state: tuple[fx.Node, ...]
    backward_state: tuple[fx.Node, ...]
    inputs: tuple[fx.Node, ...]
    outputs: tuple[fx.Node, ...]


class Cutter:
    """Finds the boundary of each stage of a graph, given the stage of every node."""

    def __init__(self, graph: Graph, stage_of: Mapping[fx.Node, int]) -> None:
        self.graph, self.stage_of = graph, stage_of
        self.order = {node: i for i, node in enumerate(graph.module.graph.nodes)}
        self.wanted = {graph.loss, *graph.predictions}

    def boundary(self, index: int) -> Boundary:
        """The boundary of stage `index`."""
        own = self.members[index]
        states = [node for node, owner in self.owners.items() if owner == index]
        updates = [self.next_state[node.name] for node in states]
        shared = self._weight_chain(own)
        nodes = self._in_order({*own, *shared})
        reads = {arg for node in nodes for arg in node.all_input_nodes}
        given = {node for node in updates if node.op == "placeholder"}
        outside = self._in_order({*reads, *states, *given} - {*own, *shared})
        backward = self._backward_state(nodes)
        parameters, forward, inputs = [], [], []
        for node in outside:
            if node.name in self.graph.parameters:
                parameters.append(node)
            elif node.name in self.graph.buffers:
                if node not in backward:
                    forward.append(node)
            else:
                inputs.append(node)
        outputs = [node for node in nodes if self._is_output(node, index)]
        return Boundary(*map(tuple, (nodes, parameters, forward, backward, inputs, outputs)))

    @cached_property
    def members(self) -> dict[int, list[fx.Node]]:
        """The nodes of each stage."""
        found: dict[int, list[fx.Node]] = {}
        for node, stage in self.stage_of.items():
            found.setdefault(stage, []).append(node)
        return found

    @cached_property
    def next_state(self) -> dict[str, fx.Node]:
        """Placeholder of a buffer -> the node that computes its next value."""
        return {node.name: update for node, update in next_states(self.graph).items()}

    @cached_property
    def owners(self) -> dict[fx.Node, int]:
        """Placeholder of a buffer that the graph updates -> the stage that keeps it."""
        return owners(self.graph, self.stage_of)

    def _in_order(self, nodes: set[fx.Node]) -> list[fx.Node]:
        return sorted(nodes, key=self.order.__getitem__)

    def _weight_chain(self, nodes: Sequence[fx.Node]) -> set[fx.Node]:
        """The nodes of no stage (functions of weights and constants) that these nodes read."""
        found: set[fx.Node] = set()
        pending = [arg for node in nodes for arg in node.all_input_nodes]
        while pending:
            node = pending.pop()
            if node.op == "call_function" and node not in self.stage_of and node not in found:
                found.add(node)
                pending.extend(node.all_input_nodes)
        return found

    def _backward_state(self, nodes: Sequence[fx.Node]) -> list[fx.Node]:
        return [arg for node in nodes for arg in backward_state_arguments(node)]

    def _is_output(self, node: fx.Node, index: int) -> bool:
        if self.stage_of.get(node) != index or not isinstance(node.meta["val"], Tensor):
            return False
        if node.name in self.wanted:
            return True
        return any(self.stage_of.get(user, index) != index for user in node.users)

    def _is_read(self, node: fx.Node) -> bool:
        """Whether a gradient can arrive at this stage output."""
        index = self.stage_of[node]
        return node.name == self.graph.loss or any(
            self.stage_of.get(user, index) != index for user in node.users
        )

    def _is_trainable(self, node: fx.Node) -> bool:
        return self.graph.parameters[node.name] not in self.graph.frozen

    def subgraph(self, boundary: Boundary, needs_grad: Mapping[fx.Node, bool]) -> Subgraph:
        """The stage's forward as a graph of its own."""
        return Subgraph(
            module=extract(self.inputs(boundary), self.results(boundary)),
            parameters=_specs(boundary.parameters),
            forward_state=_specs(boundary.forward_state),
            backward_state=_specs(boundary.backward_state),
            inputs=_specs(boundary.inputs),
            outputs=_specs(boundary.outputs),
            input_needs_grad=self.input_needs_grad(boundary, needs_grad),
            output_is_read=self.output_is_read(boundary),
            trainable=self.trainable(boundary),
        )

    def inputs(self, boundary: Boundary) -> list[fx.Node]:
        """All that the stage reads, by role."""
        state = (*boundary.forward_state, *boundary.backward_state)
        return [*boundary.parameters, *state, *boundary.inputs]

    def results(self, boundary: Boundary) -> list[fx.Node]:
        """What the stage's forward computes: outputs, then the next forward state."""
        state = (self.next_state.get(node.name, node) for node in boundary.forward_state)
        return [*boundary.outputs, *state]

    def input_needs_grad(
        self, boundary: Boundary, needs_grad: Mapping[fx.Node, bool]
    ) -> tuple[bool, ...]:
        """Of each input, whether a gradient goes back to where it comes from."""
        return tuple(needs_grad.get(node, False) for node in boundary.inputs)

    def output_is_read(self, boundary: Boundary) -> tuple[bool, ...]:
        """Of each output, whether a gradient can arrive at it."""
        return tuple(map(self._is_read, boundary.outputs))

    def trainable(self, boundary: Boundary) -> tuple[bool, ...]:
        """Of each parameter, whether it is trained."""
        return tuple(map(self._is_trainable, boundary.parameters))


def _specs(nodes: Sequence[fx.Node]) -> tuple:
    return tuple(spec_of(node.meta["val"]) for node in nodes)
