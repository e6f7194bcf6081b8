"""Which modules of a model are updates of reversible layers that a pipeline may undo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import torch
from torch import fx, nn

from ....backend.nn.reversible import (
    AdditiveLayer,
    AdditiveUpdate,
    ReversibleLayer,
    ReversibleSequence,
)
from ...plan.program import Origin

SUM = torch.ops.aten.add.Tensor


def reversible_updates(model: nn.Module, graph: fx.Graph) -> frozenset[str]:
    """Paths of the additive updates in `model` that `graph`, a trace of it, calls once.

    Those in a sequence that keeps its activations are left out, and those that are called again:
    their two calls have one path.
    """
    sums = Counter(map(module_of, graph.find_nodes(op="call_function", target=SUM)))
    return frozenset(
        name
        for name, part in _not_kept(model)
        if isinstance(part, AdditiveUpdate) and sums[name] == len(part.functions) - part.creates
    )


def not_undone(model: nn.Module, updates: frozenset[str], graph: fx.Graph) -> tuple[str, ...]:
    """Reversible layers that keep their activations in a pipeline though nobody asked for it, each
    with the reason: those that are no list of additive updates, and those called several times."""
    calls = Counter(module_of(node) for node in graph.nodes if node.op == "call_function")
    found = []
    for name, layer in _not_kept(model):
        if isinstance(layer, AdditiveLayer):
            own = (path for path, part in layer.named_modules(prefix=name) if _is_update(part))
            if any(calls[path] and path not in updates for path in own):
                found.append(f"{name or type(layer).__name__} (not called once per sample)")
        elif isinstance(layer, ReversibleLayer):
            found.append(f"{name or type(layer).__name__} (no additive updates)")
    return tuple(found)


def _not_kept(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules outside of sequences that keep their activations."""
    chains = [
        name
        for name, part in model.named_modules()
        if isinstance(part, ReversibleSequence) and part.keeps
    ]
    for name, part in model.named_modules():
        if not any(is_within(name, chain) for chain in chains):
            yield name, part


def _is_update(part: nn.Module) -> bool:
    return isinstance(part, AdditiveUpdate)


def is_within(path: str, module: str) -> bool:
    """Whether a path is that of a module or of something in it."""
    return path == module or path.startswith(f"{module}.")


def module_of(node: fx.Node) -> str:
    """Path of the module that calls the node; empty if it is none's."""
    origin = node.meta.get("origin")
    return origin.module if isinstance(origin, Origin) else ""
