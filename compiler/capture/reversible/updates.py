"""Which modules of a model are updates of reversible layers that a pipeline may undo."""

from __future__ import annotations

from collections import Counter

import torch
from torch import fx, nn

from ....backend.nn.reversible import AdditiveUpdate, ReversibleSequence
from ...plan.program import Origin

SUM = torch.ops.aten.add.Tensor


def reversible_updates(model: nn.Module, graph: fx.Graph) -> frozenset[str]:
    """Paths of the additive updates in `model` that `graph`, a trace of it, calls once.

    Those in a sequence that keeps its activations are left out, and those that are called again:
    their two calls have one path.
    """
    chains = [
        name
        for name, part in model.named_modules()
        if isinstance(part, ReversibleSequence) and part.keeps
    ]
    sums = Counter(map(module_of, graph.find_nodes(op="call_function", target=SUM)))
    return frozenset(
        name
        for name, part in model.named_modules()
        if isinstance(part, AdditiveUpdate)
        and not any(is_within(name, chain) for chain in chains)
        and sums[name] == len(part.functions) - part.creates
    )


def is_within(path: str, module: str) -> bool:
    """Whether a path is that of a module or of something in it."""
    return path == module or path.startswith(f"{module}.")


def module_of(node: fx.Node) -> str:
    """Path of the module that calls the node; empty if it is none's."""
    origin = node.meta.get("origin")
    return origin.module if isinstance(origin, Origin) else ""
