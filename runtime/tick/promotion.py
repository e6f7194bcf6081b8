"""A stage's graph with torch's promotion of types as casts, which XLA's ways in each do otherwise.

    %m = mul.Tensor(%bytes, 0.5)           %c = _to_copy(%bytes, dtype=float32)
                                     ->    %m = mul.Tensor(%c, 0.5)

    %s = sum.dim_IntList(%narrow, [1])     %c = _to_copy(%narrow, dtype=float32)
                                     ->    %t = sum.dim_IntList(%c, [1])
                                           %s = _to_copy(%t, dtype=bfloat16)

Afterwards the operands of an operator by element have one type, the one that it is computed in, and
its numbers are of it. What is added up, averaged or joined is of the result's type before. Real
numbers of 16 bits are computed with in 32, and rounded once.
"""

from __future__ import annotations

import operator
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx
from torch._ops import OpOverload
from torch.utils._pytree import tree_leaves, tree_map_only

from ...backend.errors import UnsupportedError
from ...compiler.plan.program_graph import operator_place

_ATEN = torch.ops.aten
_TO = _ATEN._to_copy.default
_WIDE = {torch.bfloat16: torch.float32, torch.float16: torch.float32}
_BYTES = (torch.uint8, torch.int8, torch.int16)
_LARGEST = 2**31 - 1
_AS_THE_RESULT = {
    *(_ATEN.cat, _ATEN.stack, _ATEN.leaky_relu),
    *(_ATEN.sum, _ATEN.mean, _ATEN.prod, _ATEN.cumsum, _ATEN.cumprod, _ATEN.logcumsumexp),
    *(_ATEN.var, _ATEN.var_mean, _ATEN.linalg_vector_norm, _ATEN._softmax, _ATEN._log_softmax),
    *(_ATEN._softmax_backward_data, _ATEN._log_softmax_backward_data),
    *(_ATEN.native_layer_norm, _ATEN.native_layer_norm_backward),
    *(_ATEN.native_group_norm, _ATEN.native_group_norm_backward),
    *(_ATEN._weight_norm_interface, _ATEN._weight_norm_interface_backward),
    *(_ATEN.avg_pool2d, _ATEN.avg_pool2d_backward, _ATEN.avg_pool3d, _ATEN.avg_pool3d_backward),
    *(_ATEN._adaptive_avg_pool2d, _ATEN._adaptive_avg_pool2d_backward),
    *(_ATEN._adaptive_avg_pool3d, _ATEN._adaptive_avg_pool3d_backward),
    *(_ATEN.upsample_bilinear2d, _ATEN.upsample_bilinear2d_backward),
    *(_ATEN.upsample_bicubic2d, _ATEN.upsample_bicubic2d_backward),
}
"""Operators not by element that compute in the type of their first result."""

_RESIZED = {_ATEN.upsample_bilinear2d, _ATEN.upsample_bicubic2d}
"""Of bytes torch has an arithmetic of its own for them."""

_NUMBERS = ("Tensor", "number", "Optional[number]")
"""Types of arguments that take the type of what they stand beside."""

_LOGICAL = {_ATEN.logical_and, _ATEN.logical_or, _ATEN.logical_xor, _ATEN.logical_not}
_TESTS = {_ATEN.isnan, _ATEN.isinf, _ATEN.signbit}
_ROUNDED = {_ATEN.floor, _ATEN.ceil, _ATEN.round, _ATEN.trunc}


def promoted(graph: fx.Graph) -> fx.Graph:
    """A graph that computes the same, in types that are written down.

    Raises UnsupportedError, naming operator, module and source line, where XLA does otherwise.
    """
    writer = _Writer()
    for node in graph.nodes:
        writer.write(node)
    return writer.graph


class _Writer:
    """Writes `graph`, node by node of another one."""

    def __init__(self) -> None:
        self.graph = fx.Graph()
        self._made: dict[fx.Node, fx.Node] = {}
        self._casts: dict[tuple[fx.Node, torch.dtype], fx.Node] = {}

    def write(self, node: fx.Node) -> None:
        """Let `graph` compute what a node does."""
        if node.target is operator.getitem:
            self._made[node] = self._item(node)
        elif _is_whole_rounded(node):
            self._made[node] = self._made[node.all_input_nodes[0]]
        elif node.target is _TO:
            self._made[node] = self._converted(node)
        else:
            dtype = _computed_in(node)
            copy = self._copy(node) if dtype is None else self._computed(node, dtype)
            self._made[node] = copy

    def _copy(self, node: fx.Node) -> fx.Node:
        return self.graph.node_copy(node, self._made.__getitem__)

    def _item(self, node: fx.Node) -> fx.Node:
        copy = self._copy(node)
        several: Any = copy.all_input_nodes[0].meta["val"]
        copy.meta["val"] = several[node.args[1]]
        return self._cast(copy, node.meta["val"].dtype)

    def _converted(self, node: fx.Node) -> fx.Node:
        """Reals as integers of 8 or 16 bits by way of 32: the lowest bits remain of those that are
        out of range, as in torch on a CPU, where XLA has the nearest in range."""
        source: Any = node.args[0]
        by_way = source.meta["val"].is_floating_point() and node.meta["val"].dtype in _BYTES
        whole = self._cast(self._made[source], torch.int32) if by_way else self._made[source]
        return self.graph.node_copy(node, lambda _: whole)

    def _computed(self, node: fx.Node, dtype: torch.dtype) -> fx.Node:
        """What a node computes, in a type and from there in that of its result."""

        def cast(given: fx.Node) -> fx.Node:
            return self._cast(self._made[given], dtype)

        conditions = 1 if node.target is _ATEN.where.self else 0
        plain: Any = fx.map_arg(node.args[:conditions], self._made.__getitem__)
        args: Any = (*plain, *fx.map_arg(node.args[conditions:], cast))  # type: ignore[misc]
        kwargs: Any = fx.map_arg(node.kwargs, cast)
        args, kwargs = _in_type(node, args, kwargs, dtype)
        if _is_number_first(node):
            args = (self._number(args[0], dtype), *args[1:])
        copy = self.graph.create_node("call_function", node.target, args, kwargs, node.name)
        declared = node.meta["val"]
        copy.meta = {
            **node.meta,
            "val": tree_map_only(Tensor, partial(_widened, dtype=dtype), declared),
        }
        return self._cast(copy, declared.dtype) if isinstance(declared, Tensor) else copy

    def _number(self, value: float, dtype: torch.dtype) -> fx.Node:
        options = {"dtype": dtype, "device": torch.device("cpu")}
        number = self.graph.call_function(_ATEN.full.default, ([], value), options)
        number.meta["val"] = torch.empty((), dtype=dtype, device="meta")
        return number

    def _cast(self, node: fx.Node, dtype: torch.dtype) -> fx.Node:
        """A node's value in another type, where it has another one."""
        if node.meta["val"].dtype == dtype:
            return node
        if (node, dtype) not in self._casts:
            cast = self.graph.call_function(_TO, (node,), {"dtype": dtype})
            cast.meta = {**node.meta, "val": node.meta["val"].to(dtype)}
            self._casts[node, dtype] = cast
        return self._casts[node, dtype]


def _computed_in(node: fx.Node) -> torch.dtype | None:
    """The type that torch computes a node in; None for one that computes nothing, or as it is."""
    target = node.target
    if not isinstance(target, OpOverload) or target._schema.is_mutable:
        return None
    is_listed = target.overloadpacket in _AS_THE_RESULT
    if not is_listed and not _is_by_element(target):
        return None
    if target.overloadpacket in _LOGICAL:
        return torch.bool
    made = next(one.dtype for one in tree_leaves(node.meta["val"]) if isinstance(one, Tensor))
    if target.overloadpacket in _RESIZED and not made.is_floating_point:
        raise _resizes_bytes(node)
    return _common(node) if made == torch.bool and not is_listed else _WIDE.get(made, made)


def _is_by_element(target: OpOverload) -> bool:
    return torch.Tag.pointwise in target.tags and target is not _ATEN.clone.default


def _common(node: fx.Node) -> torch.dtype:
    """The type that the operands of a comparison are compared in, or whose bits are tested."""
    given = [one.meta["val"] if isinstance(one, fx.Node) else one for one in node.args]
    operands = [one for one in given if isinstance(one, Tensor | bool | int | float)]
    found = torch.result_type(operands[0], operands[-1])
    is_test = getattr(node.target, "overloadpacket", None) in _TESTS
    return torch.float32 if is_test and not found.is_floating_point else found


def _is_whole_rounded(node: fx.Node) -> bool:
    """Whether a node rounds what is whole, which XLA's ways in do as reals."""
    if getattr(node.target, "overloadpacket", None) not in _ROUNDED:
        return False
    return not node.meta["val"].dtype.is_floating_point


def _in_type(
    node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any], dtype: torch.dtype
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a node with its numbers, and the types that it names, in a type."""
    expected = {a.name: str(a.type) for a in node.target._schema.arguments}  # type: ignore[union-attr]

    def converted(name: str, value: Any) -> Any:
        if isinstance(value, torch.dtype):
            return dtype
        is_number = isinstance(value, int | float) and expected[name] in _NUMBERS
        return _number_in(value, dtype) if is_number else value

    named = zip(expected, args, strict=False)
    return (
        tuple(converted(*pair) for pair in named),
        {name: converted(name, value) for name, value in kwargs.items()},
    )


def _number_in(value: float, dtype: torch.dtype) -> float:
    """A number as torch takes it beside tensors of a type: as 8 bits without a sign, -1 is 255."""
    if dtype.is_floating_point:
        return float(value) if abs(value) > _LARGEST else value
    return torch.tensor(value).to(dtype).item()


def _is_number_first(node: fx.Node) -> bool:
    """Whether a number stands where the operator has a tensor, as in 1 - x."""
    target: Any = node.target
    return (
        not isinstance(node.args[0], fx.Node) and str(target._schema.arguments[0].type) == "Tensor"
    )


def _widened(value: Tensor, dtype: torch.dtype) -> Tensor:
    """Where real numbers of 16 bits are computed in 32, those of the result are."""
    return value.to(dtype) if _WIDE.get(value.dtype) == dtype else value


def _resizes_bytes(node: fx.Node) -> UnsupportedError:
    return UnsupportedError(
        operator_place(node),
        expected="real numbers to interpolate between",
        got=f"those of {node.meta['val'].dtype}",
        change="convert them before, as in x.float(), or take --executor reference",
    )
