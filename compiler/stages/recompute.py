"""Recompute: a backward that does the forward of its stage again from the stage's inputs.

    forward(w, x) -> y, saved h                 forward(w, x) -> y, saved x
    backward(w, h, grad) -> ...                 backward(w, x, grad): h = relu(x @ w); ...

The FIFO between them then holds inputs instead of activations; the backward takes the cycles of
both. The forward is done again with the weights that the backward is given and the normalization
state that the first forward read, so no state advances twice; a random draw depends on the number
of the sample, which is an input, so it is the same one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache
from typing import cast

from torch import fx

from ..plan.program import Stage, StageProgram, Stages
from ..plan.program_graph import KEPT_META, ancestors, graph_module
from ..plan.program_text import keyed


@dataclass(frozen=True)
class Recompute:
    """Let `chosen` stages (None: all) keep their inputs only, where that takes fewer bytes.

    before: forward(w, x) -> y, saved h             after: forward(w, x) -> y, saved x
            backward(w, h, grad)                           backward(w, x, grad): h = relu(x @ w)
    """

    chosen: frozenset[int] | None = None

    def __call__(self, stages: Stages) -> Stages:
        return recompute(stages, self.chosen)


def recompute(stages: Stages, chosen: Collection[int] | None = None) -> Stages:
    """`stages` with recompute in those of `chosen` (default: all) whose FIFO it makes smaller.

    The last stage never recomputes: its backward follows its forward at once.
    """
    last = len(stages) - 1
    wanted = set(range(last)) if chosen is None else set(chosen) - {last}
    recomputing = cache(recompute_program)  # equal stages share one program
    changed = tuple(
        _with(stage, recomputing(stage.program)) if stage.index in wanted else stage
        for stage in stages.stages
    )
    same = all(new is old for new, old in zip(changed, stages.stages, strict=True))
    return stages if same else replace(stages, stages=changed)


def _with(stage: Stage, program: StageProgram) -> Stage:
    return stage if program is stage.program else replace(stage, program=program)


def recompute_program(program: StageProgram) -> StageProgram:
    """`program` that saves inputs and forward state only; itself if that takes no fewer bytes."""
    if program.recomputes:
        return program
    forward = list(program.forward.graph.nodes)
    kept = len(program.outputs) + len(program.forward_state)
    results = cast("tuple[fx.Node, ...]", forward[-1].args[0])
    saved = results[kept:]
    given = [node for node in forward if node.op == "placeholder"][len(program.parameters) :]
    specs = dict(zip(given, (*program.forward_state, *program.inputs), strict=True))
    again = ancestors(saved)
    needed = [node for node in given if node in again]
    if sum(specs[node].size_bytes for node in needed) >= program.saved_bytes:
        return program
    inputs = set(needed)
    redone = zip(saved, program.saved, strict=True)
    changed = replace(
        program,
        forward=_forward(program.forward, [*results[:kept], *needed]),
        backward=_backward(program, saved, needed),
        saved=tuple(specs[node] for node in needed),
        recomputed=tuple(spec for node, spec in redone if node not in inputs),
    )
    return keyed(changed)


def _forward(module: fx.GraphModule, results: list[fx.Node]) -> fx.GraphModule:
    """The forward with other results."""
    graph, copies = fx.Graph(), {}
    needed = ancestors(results)
    for node in module.graph.nodes:
        if node.op == "placeholder" or node in needed:
            _copy(node, graph, copies)
    graph.output(tuple(copies[node] for node in results))
    return graph_module(graph)


def _backward(
    program: StageProgram, saved: tuple[fx.Node, ...], needed: list[fx.Node]
) -> fx.GraphModule:
    """The backward with what the forward saved computed from the forward's placeholders."""
    graph, copies = fx.Graph(), {}
    nodes = list(program.backward.graph.nodes)
    arguments = [node for node in nodes if node.op == "placeholder"]
    first = len(program.parameters) + len(program.backward_state)
    replaced = arguments[first : first + len(program.saved)]
    for node in (*arguments[:first], *needed, *arguments[first + len(replaced) :]):
        _copy(node, graph, copies)
    weights = program.forward.graph.find_nodes(op="placeholder")[: len(program.parameters)]
    copies |= {node: copies[own] for node, own in zip(weights, arguments, strict=False)}
    again = ancestors(saved)
    for node in program.forward.graph.nodes:
        if node in again and node not in copies:
            _copy(node, graph, copies)
    copies |= {node: copies[source] for node, source in zip(replaced, saved, strict=True)}
    for node in nodes[:-1]:
        if node not in copies:
            _copy(node, graph, copies)
    graph.output(fx.map_arg(nodes[-1].args[0], copies.__getitem__))
    return graph_module(graph)


def _copy(node: fx.Node, graph: fx.Graph, copies: dict[fx.Node, fx.Node]) -> None:
    copies[node] = graph.node_copy(node, copies.__getitem__)
    copies[node].meta = {key: node.meta[key] for key in KEPT_META if key in node.meta}
