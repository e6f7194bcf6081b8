"""Which stage keeps a buffer that the graph updates, and computes its next value.

temperature, read by stages 1 and 3; next value 0.9 * temperature
-> stage 1 keeps it and streams it to stage 3
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import fx

from ...backend.errors import UnsupportedError
from ..capture.graph import Graph
from ..plan.program_graph import ancestors


def with_updates(graph: Graph, stage_of: Mapping[fx.Node, int]) -> dict[fx.Node, int]:
    """`stage_of` with a stage for each next value that depends on weights and state alone.

    It is the first that reads the value or the buffer; if none does, the first that reads what the
    value is computed from, or the last of all.
    """
    readers, placed = _readers(graph, stage_of), dict(stage_of)
    last = max(stage_of.values())
    for node, update in next_states(graph).items():
        if update.op == "call_function" and update not in stage_of:
            nearby = readers[node] | readers[update]
            if not nearby:
                nearby = {s for leaf in ancestors([update]) for s in readers.get(leaf, ())}
            placed[update] = min(nearby, default=last)
    return placed


def next_states(graph: Graph) -> dict[fx.Node, fx.Node]:
    """Placeholder of each buffer that the graph updates -> the node of its next value."""
    named = {node.name: node for node in graph.module.graph.nodes}
    placeholder = {name: key for key, name in graph.buffers.items()}
    return {named[placeholder[b]]: named[n] for b, n in graph.state_updates.items()}


def owners(graph: Graph, stage_of: Mapping[fx.Node, int]) -> dict[fx.Node, int]:
    """Placeholder of each buffer that the graph updates -> the stage that keeps it: the one that
    computes its next value.

    Raises UnsupportedError for a buffer that a stage reads before the one that updates it: there
    the next sample would be on its way with the old value.
    """
    readers, last = stages_reading(graph, stage_of), max(stage_of.values())
    found: dict[fx.Node, int] = {}
    for node, update in next_states(graph).items():
        first = min(readers[node], default=last)
        found[node] = stage_of.get(update, first)
        if found[node] > first:
            raise _updated_late(graph, node, update)
    return found


def stages_reading(graph: Graph, stage_of: Mapping[fx.Node, int]) -> dict[fx.Node, set[int]]:
    """Parameters and buffers -> the stages that read them, also through nodes of no stage."""
    names = {*graph.parameters, *graph.buffers}
    found = _readers(graph, stage_of)
    return {node: stages for node, stages in found.items() if node.name in names}


def _readers(graph: Graph, stage_of: Mapping[fx.Node, int]) -> dict[fx.Node, set[int]]:
    """Every node of no stage -> the stages that read it."""
    found: dict[fx.Node, set[int]] = {}
    for node in reversed(list(graph.module.graph.nodes)):
        if node not in stage_of:
            users = [user for user in node.users if user.op != "output"]
            found[node] = {stage for user in users for stage in _stages(user, stage_of, found)}
    return found


def _stages(node: fx.Node, stage_of: Mapping[fx.Node, int], found: dict) -> set[int]:
    return {stage_of[node]} if node in stage_of else found[node]


def _updated_late(graph: Graph, node: fx.Node, update: fx.Node) -> UnsupportedError:
    reader = next((user for user in node.users if "origin" in user.meta), node)
    return UnsupportedError(
        f"buffer {graph.buffers[node.name]}",
        expected="a next value that is computed in the stage that reads the buffer, or before it",
        got=f"read in {reader.meta.get('origin')}, its next value computed in"
        f" {update.meta.get('origin')}, a later stage: by then other samples have read it",
        change='merge the stages between: granularity="block" or stages=[...] that match the module'
        " that holds both",
    )
