"""A functional ATen graph as a JAX function."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import fx
from torch.fx.node import map_aggregate
from torch.utils._pytree import tree_leaves

from ....backend.errors import UnsupportedError, UserError
from ....compiler.plan.program_graph import has_declared_shape, operator_place
from ...tick.operands import operand
from ...tick.promotion import promoted
from .predicted import added_up
from .table import TABLE
from .transposed_products import PRODUCTS, MaybeTransposed, square

Array = Any

_LARGEST = 2**31 - 1
"""Of the integers that jax has unless it is told to have longer ones."""


def lower(module: fx.GraphModule, squares: int = 0) -> Callable[..., tuple[Any, ...]]:
    """The graph as a function of arrays or predicted weights, one per placeholder, to a tuple.

    After the results come the sums of squares of the first `squares` of them, or factors.

    Every value gets the dtype the graph says it has. Raises UnsupportedError, naming operator,
    module and source line, for an operator that is not in `table.TABLE`.
    """
    nodes = list(promoted(module.graph).nodes)
    for node in nodes:
        _check(node)

    def run(*arguments: Array) -> tuple[Any, ...]:
        given = iter(arguments)
        known: dict[fx.Node, Any] = {}
        for node in nodes:
            if node.op == "output":
                results: Any = node.args[0]
                summed = (square(result, known) for result in results[:squares])
                return (*(_narrow(added_up(known[result])) for result in results), *summed)
            known[node] = next(given) if node.op == "placeholder" else _call(node, known)
        raise AssertionError("a graph ends in its output")

    return run


def operators(module: fx.GraphModule) -> set[str]:
    """Names of the operators a graph calls."""
    return {_name(node) for node in module.graph.nodes if node.op == "call_function"}


def _name(node: fx.Node) -> str:
    return "getitem" if node.target is operator.getitem else str(node.target)


def _check(node: fx.Node) -> None:
    if node.op in ("placeholder", "output") or _name(node) == "getitem" or _name(node) in TABLE:
        return
    raise UnsupportedError(
        operator_place(node),
        expected="an operator the JAX executor can lower",
        got=f"{node.op} {_name(node)}",
        change="use --executor reference, or write the model without this operator",
    )


def _call(node: fx.Node, known: dict[fx.Node, Any]) -> Any:
    if node.target is operator.getitem:
        several: Any = node.args[0]
        return known[several][node.args[1]]
    is_whole = _is_whole(node)
    with jax.enable_x64(True) if is_whole else nullcontext():
        given = partial(_given, known=known, is_whole=is_whole)
        args: Any = _arguments(node, known, given)
        kwargs: Any = map_aggregate(node.kwargs, given)
        try:
            made = _as_declared(TABLE[_name(node)](*args, **kwargs), node.meta["val"])
        except (TypeError, ValueError, NotImplementedError) as error:
            raise _not_taken(node, error) from error
    if not has_declared_shape(made, node.meta["val"]):
        raise _of_another_shape(node, made)
    return _narrow(made, jnp.float64) if is_whole else made


def _is_whole(node: fx.Node) -> bool:
    """Whether a node computes with integers of 64 bits, which jax has only where it is told so."""
    types = {*_types(node), *(one for given in node.all_input_nodes for one in _types(given))}
    is_real = any(one.is_floating_point for one in types)
    return torch.int64 in types and (not is_real or _name(node) == "aten._to_copy.default")


def _types(node: fx.Node) -> Iterator[torch.dtype]:
    return (value.dtype for value in _tensors(node))


def _tensors(node: fx.Node) -> Iterator[torch.Tensor]:
    """What a node gives, as the graph declares it."""
    values = tree_leaves(node.meta.get("val"))
    return (value for value in values if isinstance(value, torch.Tensor))


def _integers(value: Array, operand: fx.Node, is_whole: bool) -> Array:
    """An operand in 64 bits where the graph says so and its user computes with them; in those that
    jax has by itself where real numbers are what counts, such as rows of a table."""
    if torch.int64 not in _types(operand):
        return value
    return _as_declared(value, operand.meta["val"]) if is_whole else _narrow(value)


def _narrow(value: Array, wide: Any = jnp.int64) -> Array:
    """Arrays of 64 bits in those that jax has by itself, as what passes between stages is kept."""
    own = jax.dtypes.canonicalize_dtype(wide)
    return jax.tree.map(lambda one: one.astype(own) if one.dtype == wide else one, value)


def _arguments(
    node: fx.Node, known: dict[fx.Node, Any], given: Callable[[Any], Any]
) -> Sequence[Any]:
    if _name(node) not in PRODUCTS:
        return map_aggregate(node.args, given)  # type: ignore[return-value]
    *first, a, b = node.args
    return *map(given, first), _matrix(a, known), _matrix(b, known)


def _given(value: Any, known: dict[fx.Node, Any], is_whole: bool) -> Any:
    """An argument of a node: the array that an operand stands for, or what is no operand."""
    if not isinstance(value, fx.Node):
        return value
    return _integers(added_up(known[value]), value, is_whole)


def _matrix(node: Any, known: dict[fx.Node, Any]) -> MaybeTransposed:
    source, is_transposed = operand(node)
    return MaybeTransposed(known[source], is_transposed)


def _as_declared(value: Any, declared: Any) -> Any:
    """Cast to the dtypes the graph declares: torch and jax promote scalars differently."""
    if isinstance(declared, (list, tuple)):
        return tuple(map(_as_declared, value, declared))
    if value is None or not isinstance(declared, torch.Tensor):
        return value
    return jnp.asarray(value).astype(jax_dtype(declared.dtype))


def _not_taken(node: fx.Node, error: Exception) -> UnsupportedError:
    """What jax has no rule for: an operator on such types, or on a number without dimensions."""
    given = [f"{v.dtype} {tuple(v.shape)}" for n in node.all_input_nodes for v in _tensors(n)]
    return UnsupportedError(
        operator_place(node),
        expected="operands that the JAX executor takes",
        got=f"{', '.join(given) or 'none'}: {str(error).partition(chr(10))[0]}",
        change="use --executor reference, or write the model without this operator",
    )


def _of_another_shape(node: fx.Node, made: Any) -> UnsupportedError:
    """A lowering that is wrong, and would be so silently where shapes broadcast."""
    declared = tree_leaves(node.meta["val"])
    return UnsupportedError(
        operator_place(node),
        expected=f"results of shape {[tuple(v.shape) for v in declared if v is not None]}",
        got=f"{[v.shape for v in jax.tree.leaves(made)]} on jax",
        change="use --executor reference, or write the model without this operator",
    )


def jax_dtype(dtype: torch.dtype) -> Any:
    """The jax dtype of a torch dtype; 64-bit ones become 32-bit unless jax has x64 enabled."""
    return jax.dtypes.canonicalize_dtype(str(dtype).removeprefix("torch."))


def kept_whole(array: np.ndarray, dtype: Any) -> np.ndarray:
    """An array in another type. Raises UserError for whole numbers that would be others there."""
    if array.dtype == np.int64 and dtype == np.int32 and array.size:
        low, high = int(array.min()), int(array.max())
        if max(-low, high) > _LARGEST:
            raise UserError(
                "whole numbers for the jax executor",
                expected=f"from {-_LARGEST:,} to {_LARGEST:,}: jax keeps them in 32 bits",
                got=f"from {low:,} to {high:,}",
                change="set JAX_ENABLE_X64=1, or take --executor torch-xla",
            )
    return array.astype(dtype)
