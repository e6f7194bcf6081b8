"""Functional graphs as JSON text: written, read back without running foreign code, and hashed.

torch.export archives would do, but their loader unpickles with `weights_only=False` (torch 2.9,
torch/_export/serde/serialize.py) and a plan must load without unpickling. A functional ATen graph
is a list of calls, so it is written as one; only operators of the namespaces below are loaded.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx

from ...backend import ops as _weft_operators
from ...backend.errors import PlanFileError, UnsupportedError
from .program import StageProgram
from .program_graph import graph_module

_NAMESPACES = frozenset({"aten", "prims", _weft_operators.NAMESPACE})
_BUILTINS = {"operator.getitem": operator.getitem}
_TYPES = {"dtype": torch.dtype, "layout": torch.layout, "memory_format": torch.memory_format}


def program_key(
    forward: fx.GraphModule, backward: fx.GraphModule, given_back: Sequence[Any] = ()
) -> str:
    """Structural hash of a stage: equal for stages that compute the same on the same shapes.

    `given_back` says what of its backward's values later stages give back, and it to earlier ones.
    """
    graphs = [graph_to_data(forward), graph_to_data(backward)]
    text = json.dumps([*graphs, given_back] if given_back else graphs, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def keyed(program: StageProgram) -> StageProgram:
    """A program that was made of another one, with a key of its own."""
    given_back = (*map(list, program.arriving), *program.rebuilt)
    return replace(program, key=program_key(program.forward, program.backward, given_back))


def graph_to_data(module: fx.GraphModule) -> dict[str, Any]:
    """A functional graph as plain data; nodes are numbered in order, names are not kept."""
    placeholders = [node for node in module.graph.nodes if node.op == "placeholder"]
    calls = [node for node in module.graph.nodes if node.op == "call_function"]
    results: Any = module.graph.output_node().args[0]
    return calls_to_data(placeholders, calls, results)


def calls_to_data(
    inputs: Sequence[fx.Node], calls: Sequence[fx.Node], results: Sequence[fx.Node]
) -> dict[str, Any]:
    """The part of a graph that computes `results` from `inputs` by `calls`, as plain data."""
    number = {node: i for i, node in enumerate((*inputs, *calls))}
    described = [
        {
            "call": _target_name(node.target),
            "args": [_encode(arg, number) for arg in node.args],
            "kwargs": {key: _encode(arg, number) for key, arg in sorted(node.kwargs.items())},
            "gives": _describe(node.meta["val"]),
        }
        for node in calls
    ]
    return {
        "inputs": [_describe(node.meta["val"]) for node in inputs],
        "calls": described,
        "outputs": [number[node] for node in results],
    }


def graph_from_data(data: dict[str, Any], where: str) -> fx.GraphModule:
    """The graph `graph_to_data` described. Raises PlanFileError for anything it cannot hold.

    Its values are meta tensors: fake ones would have `weft check` wait for torch._dynamo.
    """
    graph = fx.Graph()
    nodes: list[fx.Node] = []
    example = _Examples()
    try:
        for i, described in enumerate(data["inputs"]):
            nodes.append(graph.placeholder(f"input_{i}"))
            nodes[-1].meta["val"] = example(described)
        for call in data["calls"]:
            target = _target(call["call"])
            args = tuple(_decode(arg, nodes) for arg in call["args"])
            kwargs = {key: _decode(arg, nodes) for key, arg in call["kwargs"].items()}
            if target is operator.getitem and not isinstance(args[1], int):
                raise ValueError(f"item {args[1]!r} of an operator's results")
            nodes.append(graph.call_function(target, args, kwargs))
            nodes[-1].meta["val"] = example(call["gives"])
        graph.output(tuple(nodes[i] for i in data["outputs"]))
        graph.lint()
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise PlanFileError(
            where,
            expected="a functional graph written by weft",
            got=f"{type(error).__name__}: {error}",
            change="compile the model again",
        ) from error
    return graph_module(graph)


def _target_name(target: Any) -> str:
    return "operator.getitem" if target is operator.getitem else str(target)


def _target(name: str) -> Any:
    if name in _BUILTINS:
        return _BUILTINS[name]
    namespace, packet, overload = name.split(".")
    if namespace not in _NAMESPACES:
        raise ValueError(f"operator '{name}' is outside {sorted(_NAMESPACES)}")
    return getattr(getattr(getattr(torch.ops, namespace), packet), overload)


def _encode(value: Any, number: dict[fx.Node, int]) -> Any:
    if isinstance(value, fx.Node):
        return {"node": number[value]}
    if isinstance(value, (list, tuple)):
        return [_encode(item, number) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return {"float": str(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, torch.device):
        return {"device": value.type}
    for kind, cls in _TYPES.items():
        if isinstance(value, cls):
            return {kind: str(value).removeprefix("torch.")}
    raise UnsupportedError(
        "a constant in the model's code",
        expected="a number, text, type or device that a plan can hold",
        got=f"{value!r}, of type {type(value).__name__}",
        change="write the model without it; plans hold real numbers only",
    )


def _decode(value: Any, nodes: list[fx.Node]) -> Any:
    if isinstance(value, list):
        return [_decode(item, nodes) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "node":
        return nodes[content]
    if kind == "float":
        return float(content)
    if kind == "device":
        return torch.device(content)
    decoded = getattr(torch, content)
    if not isinstance(decoded, _TYPES[kind]):
        raise TypeError(f"'{content}' is no {kind}")
    return decoded


def _describe(value: Any) -> Any:
    if isinstance(value, Tensor):
        return {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
    if isinstance(value, (list, tuple)):
        return [_describe(item) for item in value]
    return None


class _Examples:
    """Meta tensors of one graph: one for each shape and dtype, since graphs repeat them."""

    def __init__(self) -> None:
        self._made: dict[str, Tensor] = {}

    def __call__(self, described: Any) -> Any:
        if isinstance(described, list):
            return tuple(self(item) for item in described)
        if described is None:
            return None
        key = str(described)
        if key not in self._made:
            dtype = _decode({"dtype": described["dtype"]}, [])
            self._made[key] = torch.empty(described["shape"], dtype=dtype, device="meta")
        return self._made[key]
