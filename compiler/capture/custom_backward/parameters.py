"""Hooks on the gradients of parameters become calls in the captured graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx

from ....backend.errors import UnsupportedError
from ..graph import Graph
from .call import CustomCall
from .insert import insert_hook
from .reads import ForeignReads
from .record import Hooked

Hook = Callable[[Tensor], Any]


def hook_parameters(graph: Graph, tensors: Mapping[str, Tensor]) -> Graph:
    """The graph with the hooks of its parameters, which are among `tensors` by their names.

    Works on the graph's own module. What a hook reads beside the gradient becomes a constant of
    the graph. Hooks of weft.sparsity only mask gradients, as every executor does.
    Raises UnsupportedError for a hook that cannot be traced.
    """
    nodes = {node.name: node for node in graph.module.graph.nodes}
    made = _Hooks(graph, {id(value): name for name, value in tensors.items()}, nodes)
    for placeholder, name in graph.parameters.items():
        for hook in _hooks(tensors[name]):
            made.add(nodes[placeholder], name, hook)
    buffers, constants = made.buffers, made.constants
    return replace(
        graph,
        buffers={**graph.buffers, **buffers},
        constants={**graph.constants, **constants},
    )


def _hooks(parameter: Tensor) -> Iterator[Hook]:
    """Those that change a gradient, in the order they run."""
    for hook in (getattr(parameter, "_backward_hooks", None) or {}).values():
        if not is_of_sparsity(hook):
            yield hook


def is_of_sparsity(hook: Any) -> bool:
    """Whether a hook is one of weft.sparsity, which masks weights and gradients."""
    function = getattr(hook, "func", hook)
    kinds = {type(hook).__module__, type(getattr(function, "__self__", hook)).__module__}
    return any(kind.startswith("weft.backend.sparsity") for kind in kinds)


class _Hooks:
    """Adds calls to a graph; `buffers` and `constants` are what they read."""

    def __init__(
        self, graph: Graph, names: Mapping[int, str], nodes: Mapping[str, fx.Node]
    ) -> None:
        self.graph, self.names, self.nodes = graph, names, nodes
        self.buffers: dict[str, str] = {}
        self.constants: dict[str, Tensor] = {}
        self.count = 0

    def add(self, parameter: fx.Node, name: str, hook: Hook) -> None:
        """Let all who read the parameter read it through a call with this hook."""
        reads = _tried(parameter, name, hook)
        if reads is None or not parameter.users:
            return
        operands = [self._operand(value) for value in reads.foreign]
        foreign = tuple((value,) for value in reads.foreign)
        self.count += 1
        label = f"hook {getattr(hook, '__qualname__', type(hook).__qualname__)} of {name}"
        call = CustomCall(label, self.count, Hooked(hook), foreign)
        insert_hook(parameter, call, operands, before=min(parameter.users))

    def _operand(self, value: Tensor) -> fx.Node:
        """The node of a tensor: a parameter or buffer of the model, or a new constant."""
        name = self.names.get(id(value))
        known = {own: key for key, own in {**self.graph.parameters, **self.graph.buffers}.items()}
        if name in known:
            return self.nodes[known[name]]
        name = f"hook.{len(self.buffers)}"
        graph = self.graph.module.graph
        with graph.inserting_before(next(iter(graph.nodes))):
            node = graph.placeholder(name.replace(".", "_"))
        mode = next(iter(self.nodes.values())).meta["val"].fake_mode
        node.meta = {"val": mode.from_tensor(value.detach(), static_shapes=True)}
        self.buffers[node.name], self.constants[name] = name, value.detach()
        return node


def _tried(parameter: fx.Node, name: str, hook: Hook) -> ForeignReads | None:
    """What the hook reads; None if it only looks on."""
    value = parameter.meta["val"]
    try:
        with value.fake_mode, ForeignReads([value]) as reads:
            gradient = torch.empty_like(value)
            reads.know(gradient)
            replaced = hook(gradient)
    except Exception as error:
        reason = str(error).strip().splitlines() or [""]
        raise UnsupportedError(
            f"hook on parameter {name}",
            expected="Python that computes with tensors only: it becomes part of a stage",
            got=f"{type(error).__name__}: {reason[0]}",
            change="let it read no value of a tensor (.item(), numpy), or remove its handle",
        ) from error
    return None if replaced is None else reads
