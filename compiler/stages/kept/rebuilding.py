"""Programs whose backward is given back values that the stage did not keep, and gives some back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import cast

from torch import fx

from ...plan.program import StageProgram, ValuePlace
from ...plan.program_graph import KEPT_META, ancestors, graph_module
from ...plan.program_text import keyed
from .inverse import InverseStep, needed, steps_from

NodeCopies = dict[fx.Node, fx.Node]


@dataclass(frozen=True)
class Nodes:
    """A program's nodes by role: `saved` of the forward and `arguments` of the backward."""

    parameters: tuple[fx.Node, ...]
    state: tuple[fx.Node, ...]
    inputs: tuple[fx.Node, ...]
    outputs: tuple[fx.Node, ...]
    kept: tuple[fx.Node, ...]
    saved: tuple[fx.Node, ...]
    own_arguments: tuple[fx.Node, ...]
    saved_arguments: tuple[fx.Node, ...]
    other_arguments: tuple[fx.Node, ...]

    @staticmethod
    def of(program: StageProgram) -> Nodes:
        """`kept` are the forward's results but `saved`; the backward is given parameters and state
        (`own_arguments`), what was saved, and gradients."""
        given = program.forward.graph.find_nodes(op="placeholder")
        results = _results(program.forward)
        arguments = program.backward.graph.find_nodes(op="placeholder")
        parameters, outputs = len(program.parameters), len(program.outputs)
        state = parameters + len(program.forward_state)
        kept = outputs + len(program.forward_state)
        first = parameters + len(program.backward_state)
        last = first + len(program.saved)
        return Nodes(
            parameters=tuple(given[:parameters]),
            state=tuple(given[parameters:state]),
            inputs=tuple(given[state:]),
            outputs=results[:outputs],
            kept=results[:kept],
            saved=results[kept:],
            own_arguments=tuple(arguments[:first]),
            saved_arguments=tuple(arguments[first:last]),
            other_arguments=tuple(arguments[last:]),
        )

    @property
    def own(self) -> tuple[fx.Node, ...]:
        """What the forward is given beside its inputs."""
        return (*self.parameters, *self.state)

    def at(self, place: ValuePlace) -> fx.Node:
        """The forward's node of an output or input."""
        return (self.outputs if place.kind == "output" else self.inputs)[place.number]


def with_inputs(program: StageProgram, wanted: Sequence[int]) -> StageProgram:
    """`program` that gives the inputs `wanted` back as it read them: it saves them, if it did not.

    Itself if none are wanted.
    """
    if not wanted:
        return program
    nodes = Nodes.of(program)
    saved = dict.fromkeys((*nodes.saved, *(nodes.inputs[number] for number in wanted)))
    return _program(program, nodes, _Kept(tuple(saved), (), ()), tuple(wanted))


def rebuilding(
    program: StageProgram,
    sums: Collection[fx.Node],
    arriving: Sequence[ValuePlace],
    wanted: Sequence[int],
) -> StageProgram:
    """`program` that saves what does not follow from `arriving` and gives the inputs `wanted` back.

    `sums` are the updates of reversible layers among its forward's nodes. It uses what it needs of
    `arriving`.
    """
    nodes, graph = Nodes.of(program), program.forward.graph
    targets = [*nodes.saved, *(nodes.inputs[number] for number in wanted)]
    given = {*nodes.own, *map(nodes.at, arriving)}
    kept: list[fx.Node] = []
    known, steps = steps_from(graph, given, sums)
    while missing := [node for node in targets if node not in known]:
        before = ancestors(missing)
        left = [node for node in nodes.inputs if node in before and node not in known]
        kept.append(min(left, key=_bytes))
        known, steps = steps_from(graph, {*given, *kept}, sums)
    taken, begins = needed(steps, targets)
    saved = (node for node in (*nodes.state, *nodes.inputs) if node in {*nodes.state, *kept})
    used = tuple(place for place in arriving if nodes.at(place) in begins)
    return _program(
        program,
        nodes,
        _Kept(tuple(node for node in saved if node in begins), taken, used),
        tuple(wanted),
    )


def _bytes(node: fx.Node) -> int:
    value = node.meta["val"]
    return value.numel() * value.element_size()


@dataclass(frozen=True)
class _Kept:
    """What a forward saves, the steps from there to what its backward reads, and what arrives."""

    saved: tuple[fx.Node, ...]
    steps: Sequence[InverseStep]
    arriving: tuple[ValuePlace, ...]


def _program(
    program: StageProgram, nodes: Nodes, kept: _Kept, wanted: tuple[int, ...]
) -> StageProgram:
    before = dict(zip(nodes.saved, program.saved, strict=True))
    specs = dict(zip(nodes.state, program.forward_state, strict=True))
    specs |= dict(zip(nodes.inputs, program.inputs, strict=True)) | before
    held = {*kept.saved, *map(nodes.at, kept.arriving)}
    return keyed(
        replace(
            program,
            forward=_forward(program, (*nodes.kept, *kept.saved)),
            backward=_backward(program, nodes, kept, wanted),
            saved=tuple(specs[node] for node in kept.saved),
            recomputed=tuple(spec for node, spec in before.items() if node not in held),
            arriving=kept.arriving,
            rebuilt=wanted,
        )
    )


def _forward(program: StageProgram, results: Sequence[fx.Node]) -> fx.GraphModule:
    """The forward with other results."""
    graph, copies, read = fx.Graph(), NodeCopies(), ancestors(results)
    for node in program.forward.graph.nodes:
        if node.op == "placeholder" or node in read:
            _copy(node, graph, copies)
    graph.output(tuple(copies[node] for node in results))
    return graph_module(graph)


def _backward(
    program: StageProgram, nodes: Nodes, kept: _Kept, wanted: Sequence[int]
) -> fx.GraphModule:
    """The backward with what was saved computed by `kept.steps`, and the inputs `wanted` after its
    own results."""
    graph, copies = fx.Graph(), NodeCopies()
    arriving = map(nodes.at, kept.arriving)
    for node in (*nodes.own_arguments, *kept.saved, *nodes.other_arguments, *arriving):
        copies[node] = graph.placeholder(node.name)
        copies[node].meta = _meta(node)
    own = zip(nodes.parameters, nodes.own_arguments, strict=False)
    copies |= {node: copies[argument] for node, argument in own}
    for step in kept.steps:
        copies[step.node] = step.copied(graph, copies)
        copies[step.node].meta = _meta(step.node)
    replaced = zip(nodes.saved_arguments, nodes.saved, strict=True)
    copies |= {argument: copies[source] for argument, source in replaced}
    for node in program.backward.graph.nodes:
        if node.op == "call_function":
            _copy(node, graph, copies)
    results = [copies[node] for node in _results(program.backward)]
    graph.output((*results, *(copies[nodes.inputs[number]] for number in wanted)))
    return graph_module(graph)


def _copy(node: fx.Node, graph: fx.Graph, copies: NodeCopies) -> None:
    copies[node] = graph.node_copy(node, copies.__getitem__)
    copies[node].meta = _meta(node)


def _meta(node: fx.Node) -> dict[str, object]:
    return {key: node.meta[key] for key in KEPT_META if key in node.meta}


def _results(module: fx.GraphModule) -> tuple[fx.Node, ...]:
    return tuple(cast("Sequence[fx.Node]", module.graph.output_node().args[0]))
