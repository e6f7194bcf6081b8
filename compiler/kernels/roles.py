"""What the tensors of a stage's graph mean: weights, weight gradients, or activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

from torch import Tensor, fx

VIEWS = frozenset(
    f"aten.{name}"
    for name in (
        "alias.default",
        "detach.default",
        "expand.default",
        "permute.default",
        "reshape.default",
        "squeeze.default",
        "squeeze.dim",
        "squeeze.dims",
        "t.default",
        "transpose.int",
        "unsqueeze.default",
        "view.default",
        "_unsafe_view.default",
    )
)
_SWAPS = frozenset({"aten.t.default", "aten.permute.default", "aten.transpose.int"})


PRODUCTS = frozenset(
    f"aten.{name}.default" for name in ("mm", "addmm", "bmm", "convolution", "convolution_backward")
)
_MATRIX_PRODUCTS = frozenset(f"aten.{name}.default" for name in ("mm", "addmm", "bmm"))
_PARTS = frozenset(
    (
        "aten.reshape.default",
        "aten.view.default",
        "aten._unsafe_view.default",
        "aten.slice.Tensor",
        "aten.split.Tensor",
        "aten.split_with_sizes.default",
        "getitem",
    )
)
CHANNEL_SUM = "aten.sum.dim_IntList"
INPUTS, OUTPUTS = "inputs", "outputs"
"""Which features of a product the channels of a normalization beside it are."""


@dataclass(frozen=True)
class Alias:
    """A view of parameter `index`; `swapped` if its two axes are exchanged."""

    index: int
    swapped: bool


@dataclass(frozen=True)
class Roles:
    """`weight`: nodes that are views of a parameter. `gradient`: nodes that compute the gradient
    of a parameter (the last operation before its views), by parameter index. `channels`: nodes that
    normalize the inputs or the outputs of a product with a weight, or sum gradients over them.
    `left_by`: nodes whose last axis lies as a matrix product left its features, by that product."""

    weight: Mapping[fx.Node, Alias]
    gradient: Mapping[fx.Node, int]
    channels: Mapping[fx.Node, str] = field(default_factory=dict)
    left_by: Mapping[fx.Node, fx.Node] = field(default_factory=dict)


def operator_of(node: fx.Node) -> str:
    """Full name of a call's target: 'aten.mm.default', or 'getitem' for a tuple's element."""
    return _name_of(node.target)


@cache
def _name_of(target: Callable[..., Any] | str) -> str:
    is_builtin = not hasattr(target, "_schema")
    return getattr(target, "__name__", "") if is_builtin else str(target)


def tensors_of(node: fx.Node) -> tuple[Tensor, ...]:
    """The (fake) tensors a node computes."""
    value = node.meta.get("val")
    values = value if isinstance(value, tuple | list) else (value,)
    return tuple(item for item in values if isinstance(item, Tensor))


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """Shape of the first tensor a node computes."""
    return tuple(int(size) for size in tensors_of(node)[0].shape)


def dtype_of(node: fx.Node) -> str:
    """Torch name of the dtype of the first tensor a node computes."""
    return str(tensors_of(node)[0].dtype).removeprefix("torch.")


def operand(node: fx.Node, position: int) -> fx.Node:
    """Positional argument `position`, which must be a tensor."""
    argument = node.args[position]
    if not isinstance(argument, fx.Node):
        raise TypeError(f"{node.name}: argument {position} is not a tensor")
    return argument


def calls(graph: fx.Graph) -> Iterator[fx.Node]:
    """The nodes that compute something, in order."""
    return (node for node in graph.nodes if node.op == "call_function")


def find_roles(module: fx.GraphModule, trainable: Sequence[bool], is_backward: bool) -> Roles:
    """Roles of one graph of a stage program; its first placeholders are the weights.

    There are as many as `trainable` has entries. In a backward graph the first outputs are the
    gradients of the trainable ones.
    """
    nodes = list(module.graph.nodes)
    placeholders = [node for node in nodes if node.op == "placeholder"]
    weight = {
        node: Alias(index, False) for index, node in enumerate(placeholders[: len(trainable)])
    }
    for node in calls(module.graph):
        if operator_of(node) in VIEWS and node.args[0] in weight:
            source = weight[operand(node, 0)]
            swaps = operator_of(node) in _SWAPS
            weight[node] = Alias(source.index, source.swapped != swaps)
    gradient: dict[fx.Node, int] = {}
    if is_backward:
        results = cast("tuple[fx.Node, ...]", nodes[-1].args[0])
        trained = [index for index, is_trained in enumerate(trainable) if is_trained]
        for index, result in zip(trained, results, strict=False):
            gradient |= dict.fromkeys(_computed_by(result), index)
    beside = _channels(module.graph, weight, gradient, is_backward)
    return Roles(weight, gradient, dict(beside), _left_by(module.graph, gradient))


def _channels(
    graph: fx.Graph,
    weight: Mapping[fx.Node, Alias],
    gradient: Mapping[fx.Node, int],
    is_backward: bool,
) -> Iterator[tuple[fx.Node, str]]:
    """What is normalized behind a product are its outputs, what is before one its inputs; gradients
    come the other way. A product behind and one before: the values lie as the first left them."""
    before, behind = (OUTPUTS, INPUTS) if is_backward else (INPUTS, OUTPUTS)
    nodes = list(calls(graph))
    products = {n for n in nodes if operator_of(n) in PRODUCTS and _uses(n, weight)}
    after = _reached(nodes, products, lambda node: node.all_input_nodes)
    ahead = _reached(reversed(nodes), products, lambda node: list(node.users))
    for node in nodes:
        is_summed = operator_of(node).startswith("weft.online_norm") or _sums_channels(
            node, gradient
        )
        if is_summed and (node in after or node in ahead):
            yield node, behind if node in after else before


def _left_by(graph: fx.Graph, gradient: Mapping[fx.Node, int]) -> dict[fx.Node, fx.Node]:
    """Results of matrix products, and what follows from them with the same last axis or a part of
    it: other axes may be merged, split or exchanged."""
    found: dict[fx.Node, fx.Node] = {}
    for node in calls(graph):
        if not tensors_of(node) or not shape_of(node) or node in gradient:
            continue
        if operator_of(node) in PRODUCTS:
            if operator_of(node) in _MATRIX_PRODUCTS:
                found[node] = node
            continue
        for source in node.all_input_nodes:
            if source in found and _keeps_last_axis(node, source):
                found[node] = found[source]
                break
    return found


def _keeps_last_axis(node: fx.Node, source: fx.Node) -> bool:
    """A view may split it, and a part may be taken of it; an exchange with another axis does not
    keep it."""
    own, before = shape_of(node), shape_of(source)
    if operator_of(node) in _SWAPS:
        return _last_axis_of(node, len(before)) == len(before) - 1
    if own[-1] == before[-1]:
        return True
    return own[-1] > 1 and before[-1] % own[-1] == 0 and operator_of(node) in _PARTS


def _last_axis_of(node: fx.Node, rank: int) -> int:
    """Which axis of its operand the last one of an exchange is."""
    if operator_of(node) == "aten.permute.default":
        return cast("Sequence[int]", node.args[1])[-1] % rank
    first, second = cast("tuple[int, int]", (*node.args[1:3], 0, 1)[:2])
    pair = first % rank, second % rank
    return pair[1 - pair.index(rank - 1)] if rank - 1 in pair else rank - 1


def _sums_channels(node: fx.Node, gradient: Mapping[fx.Node, int]) -> bool:
    """Whether a node sums the gradient of a parameter with one element per channel of an image."""
    if node not in gradient or operator_of(node) != CHANNEL_SUM:
        return False
    image = shape_of(operand(node, 0))
    return len(image) > 2 and tensors_of(node)[0].numel() == image[1]


def _uses(node: fx.Node, weight: Mapping[fx.Node, Alias]) -> bool:
    return any(source in weight for source in node.all_input_nodes)


def _reached(
    nodes: Iterable[fx.Node],
    start: set[fx.Node],
    neighbours: Callable[[fx.Node], Sequence[fx.Node]],
) -> set[fx.Node]:
    """Those that a value of `start` gets to, not `start` itself unless from another one."""
    found: set[fx.Node] = set()
    for node in nodes:
        if any(other in start or other in found for other in neighbours(node)):
            found.add(node)
    return found


def _computed_by(node: fx.Node) -> Iterator[fx.Node]:
    """The last operations before views and sums: a weight used often has a sum of gradients."""
    parts = [node]
    while parts:
        part = parts.pop()
        while part.op == "call_function" and operator_of(part) in VIEWS:
            part = operand(part, 0)
        yield part
        if operator_of(part) == "aten.add.Tensor":
            parts += part.all_input_nodes
