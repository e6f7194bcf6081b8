"""What the inputs of a graph of dynamo's are: parameters, buffers, numbers, or the sample's own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn
from torch._functorch.autograd_function import autograd_function_apply
from torch.fx.traceback import preserve_node_meta

from ...backend.torch_versions import apply_traced, expression_of

_STEP = re.compile(r"\._(modules|parameters|buffers)\['([^']*)'\]")
RoleKind = Literal["parameter", "buffer", "input", "number"]


@dataclass(frozen=True)
class Role:
    """What an input of the graph is; parameters and buffers have their name in the model.

    `root` is the expression that dynamo reads that model with, such as L['self'].
    """

    kind: RoleKind
    name: str
    root: str = ""


def roles_of(graph: fx.GraphModule, values: Sequence[Any]) -> tuple[Role, ...]:
    """The role of every input, given the values of a call. Names are unique."""
    sources = [expression_of(node) for node in graph.graph.find_nodes(op="placeholder")]
    roles = [_role(source, value) for source, value in zip(sources, values, strict=True)]
    names = [role.name for role in roles]
    return tuple(
        role if names.count(role.name) == 1 else replace(role, name=f"{role.name}_{number}")
        for number, role in enumerate(roles)
    )


def _role(source: str, value: Any) -> Role:
    if not isinstance(value, Tensor):
        return Role("number", source)
    steps = _STEP.findall(source)
    name = ".".join(step for _, step in steps) or re.sub(r"\W+", "_", source).strip("_")
    root = _STEP.split(source, maxsplit=1)[0]
    if isinstance(value, nn.Parameter):
        return Role("parameter", name, root)
    return Role("buffer" if steps and steps[-1][0] == "buffers" else "input", name, root)


@dataclass(frozen=True)
class Call:
    """A graph and one call of it."""

    graph: fx.GraphModule
    roles: tuple[Role, ...]
    values: tuple[Any, ...]

    def named(self, kind: RoleKind) -> dict[str, Any]:
        """The values of one kind of input, by the name of their role."""
        pairs = zip(self.roles, self.values, strict=True)
        return {role.name: value for role, value in pairs if role.kind == kind}

    def arguments(self, tensors: Mapping[str, Tensor], inputs: Iterator[Tensor]) -> list[Any]:
        """The call's arguments with its tensors replaced: own ones by name, inputs in order."""
        arguments: list[Any] = []
        for role, value in zip(self.roles, self.values, strict=True):
            if role.kind == "input":
                arguments.append(next(inputs))
            else:
                arguments.append(value if role.kind == "number" else tensors[role.name])
        return arguments


def _name_modules(graph: fx.Graph) -> None:
    """Module paths as in a model of weft.compile: 'model.layers.0', not L['self'].layers[0]."""
    for node in graph.nodes:
        stack = node.meta.get("nn_module_stack") or {}
        node.meta["nn_module_stack"] = {
            key: (_module_path(path), kind) for key, (path, kind) in stack.items()
        }


def _module_path(source: str) -> str:
    path = re.sub(r"^\w\['\w+'\]", "model", source)
    path = re.sub(r"\._modules\['([^']*)'\]", r".\1", path)
    return re.sub(r"\['?([^']*?)'?\]", r".\1", path)


class GraphWithRoles(nn.Module):
    """A graph of dynamo's as a module whose parameters and buffers have the model's names.

    Its tensors have the shapes of `values` and no content; numbers are fixed. Called with the
    inputs proper, in order.
    """

    def __init__(self, graph: fx.GraphModule, roles: Sequence[Role], values: Sequence[Any]) -> None:
        super().__init__()
        _name_modules(graph.graph)
        self._call = Call(graph, tuple(roles), tuple(values))
        for role, value in zip(roles, values, strict=True):
            owner, _, leaf = role.name.rpartition(".")
            if role.kind == "parameter":
                empty = nn.Parameter(torch.empty_like(value), requires_grad=value.requires_grad)
                _inside(self, owner).register_parameter(leaf, empty)
            elif role.kind == "buffer":
                _inside(self, owner).register_buffer(leaf, torch.empty_like(value))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        tensors = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        arguments = self._call.arguments(tensors, iter(inputs))
        with preserve_node_meta():  # so that the model's lines and modules survive
            return tuple(_NumberRoles(self._call.graph).run(*arguments))


class _NumberRoles(fx.Interpreter):
    """Takes a number that dynamo made a tensor of shape () for what it is: fixed, or a tensor.

    Runs what dynamo puts into graphs of their own, checkpointed parts and autograd Functions.
    """

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if target is torch.ops.higher_order.tag_activation_checkpoint:
            return _NumberRoles(args[0]).run(*args[1:])
        if target is autograd_function_apply:
            return apply_traced(*args, **kwargs)
        return super().call_function(target, args, kwargs)

    def call_method(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if target == "item" and isinstance(args[0], int | float):
            return args[0]
        if target == "item" and args[0].ndim == 0 and args[0].dtype is torch.float64:
            return args[0]
        return super().call_method(target, args, kwargs)


def _inside(root: nn.Module, path: str) -> nn.Module:
    """The submodule at `path`, made where it is missing."""
    for step in path.split(".") if path else ():
        if step not in root._modules:
            root.add_module(step, nn.Module())
        root = root.get_submodule(step)
    return root
