"""What a graph of a stage's program holds as its operators run in order, read off the graph anew.

A value is there from the operator that makes it to the last one that reads it. What the graph is
given and what it puts out has memory of its own and is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, fx

PRODUCTS = ("aten.mm.default", "aten.addmm.default", "aten.bmm.default")
_ROUTED, _ROUTED_WEIGHT = "weft.routed_mm.default", "weft.routed_mm_weight.default"
_CONVOLUTION, _GRADIENTS = "aten.convolution.default", "aten.convolution_backward.default"
_SELECTING = (
    *("aten.select.", "aten.slice.", "aten.diagonal.", "aten.unbind."),
    *("aten.split.", "aten.split_with_sizes."),
)
"""Views of a part of their operand."""
_GATHERING = ("aten.as_strided.default", "aten.unfold.default")
"""Views to torch; here copies, since a value that lies over many PEs has no strides."""
_TRANSPOSING = ("aten.t.default", "aten.permute.default", "aten.transpose.int")


@dataclass(frozen=True)
class TensorValue:
    """A tensor in memory."""

    elements: int
    item_bytes: int


@dataclass(frozen=True)
class CheckedProduct:
    """Sizes of a contraction: features, and positions of both sides; `factor` is how many matrices
    of (in, out) features come as activations, 0 if the weight lies there already. One input reaches
    outputs up to `halo` positions apart."""

    in_features: int
    out_features: int
    in_positions: int
    out_positions: int
    factor: int
    item_bytes: int
    halo: int = 0


@dataclass(frozen=True)
class OperatorMoment:
    """One operator at work: all values there, those it makes, those it is the last to read."""

    name: str
    operator: str
    there: tuple[TensorValue, ...]
    made: tuple[TensorValue, ...]
    dying: tuple[TensorValue, ...]
    product: CheckedProduct | None


Features = Mapping[int, tuple[int, int]]
"""In and out features of the weights of contractions, by the weight's number."""


@dataclass(frozen=True)
class Phase:
    """A graph with its weights (number of each node that is one) and parts of their gradients."""

    graph: fx.Graph
    weights: Mapping[fx.Node, int]
    gradients: Mapping[fx.Node, int]


def forward_phase(graph: fx.Graph, parameters: int) -> Phase:
    """The phase of a forward graph, whose first arguments are the parameters."""
    return Phase(graph, _weights(graph, parameters), {})


def backward_phase(graph: fx.Graph, trainable: Sequence[bool]) -> Phase:
    """The phase of a backward graph, whose first results are the trained parameters' gradients."""
    numbers = [number for number, is_trained in enumerate(trainable) if is_trained]
    found: dict[fx.Node, int] = {}
    for number, result in zip(numbers, _results(graph), strict=False):
        found |= dict.fromkeys(summands(result), number)
    return Phase(graph, _weights(graph, len(trainable)), found)


def features(phase: Phase) -> Features:
    """Features of the weights that a forward multiplies with; in features are summed over."""
    found = {}
    for node in _calls(phase.graph):
        if _name(node) == _CONVOLUTION and node.args[1] in phase.weights:
            out, into = _channels(node, node.args[1], node.args[6])
            found[phase.weights[_node(node.args[1])]] = into, out
        elif _name(node) == _ROUTED and node.args[1] in phase.weights:
            experts, into, out = _shape(_node(node.args[1]))
            found[phase.weights[_node(node.args[1])]] = experts * into, out
        elif _name(node) in PRODUCTS:
            left, right = _factors(node)
            if right in phase.weights:
                found[phase.weights[right]] = _shape(right)[-2], _shape(right)[-1]
            elif left in phase.weights:
                found[phase.weights[left]] = _shape(left)[-1], _shape(left)[-2]
    return found


def products(phase: Phase) -> Iterator[tuple[fx.Node, int, fx.Node]]:
    """Products of rows with a weight: the operator, the weight's number, the rows."""
    for node in _calls(phase.graph):
        if _name(node) in PRODUCTS:
            rows, weight = _factors(node)
            if weight in phase.weights:
                yield node, phase.weights[weight], rows


def moments(phase: Phase, known: Features) -> tuple[OperatorMoment, ...]:
    """One moment per operator."""
    calls = list(_calls(phase.graph))
    spans = _spans(phase, calls)
    return tuple(
        OperatorMoment(
            node.name,
            _name(node),
            tuple(value for value, born, dead in spans if born <= now <= dead),
            tuple(value for value, born, _ in spans if born == now),
            tuple(value for value, born, dead in spans if born < now == dead),
            _product(node, phase, known),
        )
        for now, node in enumerate(calls)
    )


def _spans(phase: Phase, calls: Sequence[fx.Node]) -> list[tuple[TensorValue, int, int]]:
    """Each value with the operators that make it and read it last."""
    excluded = {_place(node) for node in (*_results(phase.graph), *phase.gradients)}
    numbers = {node: number for number, node in enumerate(calls)}
    last: dict[tuple[fx.Node, int], int] = {}
    for number, node in enumerate(calls):
        last |= {_place(other): number for other in node.all_input_nodes}
    return [
        (
            TensorValue(tensor.numel(), tensor.element_size()),
            numbers[node],
            last.get(place, numbers[node]),
        )
        for node in calls
        for place, tensor in _made(node)
        if place not in excluded
    ]


def _made(node: fx.Node) -> Iterator[tuple[tuple[fx.Node, int], Tensor]]:
    if _is_alias(node) or _name(node) == "getitem":
        return
    value: Any = node.meta["val"]
    for number, item in enumerate(value if isinstance(value, tuple | list) else (value,)):
        if isinstance(item, Tensor):
            yield (node, number), item


def _place(node: fx.Node) -> tuple[fx.Node, int]:
    """The value that a node is, or is a view of."""
    if _is_alias(node):
        return _place(_node(node.args[0]))
    if _name(node) == "getitem":
        tuple_node, number = _node(node.args[0]), node.args[1]
        is_view = _is_alias(tuple_node)
        return _place(tuple_node) if is_view else (tuple_node, int(str(number)))
    return node, 0


def _product(node: fx.Node, phase: Phase, known: Features) -> CheckedProduct | None:
    name = _name(node)
    if name in (_CONVOLUTION, _GRADIENTS):
        return _convolution(node, phase)
    if name in (_ROUTED, _ROUTED_WEIGHT):
        return _routed(node, phase, known)
    if name not in PRODUCTS:
        return None
    left, right = _factors(node)
    size, rows, inner, columns = _item_bytes(node), *_shape(left)[-2:], _shape(right)[-1]
    number, positions = phase.gradients.get(node, -1), inner
    for weight, moving in ((left, columns), (right, rows)):
        if weight in phase.weights:
            number, positions = phase.weights[weight], moving
    if number in known:
        return CheckedProduct(*known[number], positions, positions, 0, size)
    batch = _shape(left)[0] if len(_shape(left)) == 3 else 1
    return CheckedProduct(inner, columns, rows, rows, batch, size)


def _routed(node: fx.Node, phase: Phase, known: Features) -> CheckedProduct:
    """Of all experts, whose in features lie one after the other; rows are those one may take."""
    rows, size, other = int(str(node.args[-1])), _item_bytes(node), _node(node.args[1])
    number = phase.gradients.get(node, -1)
    if _name(node) == _ROUTED:
        number, (experts, into, out) = phase.weights.get(other, -1), _shape(other)
    else:
        experts, into, out = _shape(node)
    if number in known:
        return CheckedProduct(*known[number], rows, rows, 0, size)
    return CheckedProduct(experts * into, out, rows, rows, 1, size)


def _convolution(node: fx.Node, phase: Phase) -> CheckedProduct:
    is_forward = _name(node) == _CONVOLUTION
    image = _node(node.args[0 if is_forward else 1])
    weight = _node(node.args[1 if is_forward else 2])
    result = node if is_forward else _node(node.args[0])
    out, into = _channels(node, weight, node.args[6 if is_forward else 7])
    taps = torch.Size(_shape(weight)[2:]).numel()
    factor = 0 if weight in phase.weights else taps
    sizes = (_pixels(_shape(image)), _pixels(_shape(result)))
    return CheckedProduct(
        into, out, *sizes, factor, _item_bytes(node), _reach(node, weight, result)
    )


def _reach(node: fx.Node, weight: fx.Node, result: fx.Node) -> int:
    """From the first to the last output that uses one input, in memory order."""
    arguments: Any = node.args[3:7] if result is node else node.args[4:8]
    strides, _, dilations, is_transposed = arguments
    found, below = 0, 1
    axes = zip(_shape(weight)[2:], strides, dilations, _shape(result)[2:], strict=True)
    for kernel, stride, dilation, size in reversed(list(axes)):
        step = 1 if is_transposed else stride
        found += -(-(kernel - 1) * dilation // step) * below
        below *= size
    return found


def _channels(node: fx.Node, weight: object, is_transposed: object) -> tuple[int, int]:
    """Out and in channels as a weight has them."""
    first, second = _shape(_node(weight))[:2]
    return (second, first) if is_transposed else (first, second)


def _pixels(shape: Sequence[int]) -> int:
    return torch.Size((shape[0], *shape[2:])).numel()


def _weights(graph: fx.Graph, parameters: int) -> dict[fx.Node, int]:
    """The parameters and their views."""
    arguments = [node for node in graph.nodes if node.op == "placeholder"]
    return weights_of(graph, {node: n for n, node in enumerate(arguments[:parameters])})


def weights_of(graph: fx.Graph, arguments: Mapping[fx.Node, int]) -> dict[fx.Node, int]:
    """These arguments of a graph, by number, and their views."""
    found = dict(arguments)
    for node in _calls(graph):
        if is_whole_view(node) and node.args[0] in found:
            found[node] = found[_node(node.args[0])]
    return found


def summands(result: fx.Node) -> Iterator[fx.Node]:
    """What a gradient is the sum of, and the sums."""
    waiting = [result]
    for part in waiting:
        while is_whole_view(part):
            part = _node(part.args[0])
        yield part
        waiting += part.all_input_nodes if _name(part) == "aten.add.Tensor" else ()


def _calls(graph: fx.Graph) -> Iterator[fx.Node]:
    return (node for node in graph.nodes if node.op == "call_function")


def _results(graph: fx.Graph) -> list[fx.Node]:
    results: Any = next(iter(graph.find_nodes(op="output"))).args[0]
    return [_node(result) for result in results]


def _factors(node: fx.Node) -> tuple[fx.Node, fx.Node]:
    left, right = node.args[-2:] if _name(node) != "aten.addmm.default" else node.args[1:3]
    return _node(left), _node(right)


def _name(node: fx.Node) -> str:
    return _name_of(node.target) if node.op == "call_function" else ""


@cache
def _name_of(target: Callable[..., Any] | str) -> str:
    return str(target) if hasattr(target, "_schema") else "getitem"


def _is_alias(node: fx.Node) -> bool:
    """Whether an operator only describes anew the data of its first operand, as torch declares."""
    declared = bool(getattr(node.target, "is_view", False)) and _name(node) not in _GATHERING
    return declared or _name(node) == "aten._unsafe_view.default"


def is_whole_view(node: fx.Node) -> bool:
    """Whether a node is its operand in another shape, with no element left out."""
    return _is_alias(node) and not _name(node).startswith(_SELECTING)


def _node(argument: object) -> fx.Node:
    if isinstance(argument, fx.Node):
        return argument
    raise TypeError(f"not a tensor: {argument}")


def _shape(node: fx.Node) -> tuple[int, ...]:
    return tuple(map(int, _tensor(node).shape))


def _item_bytes(node: fx.Node) -> int:
    return _tensor(node).element_size()


def _tensor(node: fx.Node) -> Tensor:
    value: Any = node.meta["val"]
    found = value if isinstance(value, tuple | list) else (value,)
    return next(item for item in found if isinstance(item, Tensor))
