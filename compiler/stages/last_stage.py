"""Modules that may only be a model's head: their state must see each sample without delay."""

from __future__ import annotations

from collections.abc import Collection

from torch import nn

from ...backend.errors import UnsupportedError
from ..capture.graph import Graph
from .buffer_owners import stages_reading
from .group import Assignment


def states_of_heads(model: nn.Module) -> frozenset[str]:
    """Buffers of modules that have `last_stage_only`, by their names in the model."""
    return frozenset(
        f"{path}.{name}".lstrip(".")
        for path, module in model.named_modules()
        if getattr(module, "last_stage_only", False)
        for name, _ in module.named_buffers(recurse=False)
    )


def check_heads(graph: Graph, finest: Assignment, states: Collection[str]) -> None:
    """Raises UnsupportedError where one of these states is read before the last stage."""
    count = len(finest.modules)
    for node, readers in stages_reading(graph, finest.stage_of).items():
        name, first = graph.buffers.get(node.name, ""), min(readers, default=count - 1)
        if name in states and first < count - 1:
            raise UnsupportedError(
                f"layer {name.rpartition('.')[0]}",
                expected="the last stage, of delay 0: its trace takes up the label of each sample",
                got=f"stage {first + 1} of {count}, of delay {2 * (count - 1 - first)}",
                change="make it the head: the model returns its loss, and nothing reads its scores",
            )
