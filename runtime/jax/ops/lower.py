"""A functional ATen graph as a JAX function."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import torch
from torch import fx

from ....backend.errors import UnsupportedError
from ...tick.operands import operand
from .predicted import added_up
from .table import TABLE
from .transposed_products import PRODUCTS, MaybeTransposed, square

Array = Any


def lower(module: fx.GraphModule, squares: int = 0) -> Callable[..., tuple[Array, ...]]:
    """The graph as a function of arrays or predicted weights, one per placeholder, to a tuple.

    After the results come the sums of squares of the first `squares` of them.

    Every value gets the dtype the graph says it has. Raises UnsupportedError, naming operator,
    module and source line, for an operator that is not in `table.TABLE`.
    """
    nodes = list(module.graph.nodes)
    for node in nodes:
        _check(node)

    def run(*arguments: Array) -> tuple[Array, ...]:
        given = iter(arguments)
        known: dict[fx.Node, Any] = {}
        for node in nodes:
            if node.op == "output":
                results: Any = node.args[0]
                summed = (square(result, known) for result in results[:squares])
                return (*(added_up(known[result]) for result in results), *summed)
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
    origin = node.meta.get("origin")
    raise UnsupportedError(
        f"operator {_name(node)} in {origin or node.name}",
        expected="an operator the JAX executor can lower",
        got=f"{node.op} {_name(node)}",
        change="use --executor reference, or write the model without this operator",
    )


def _call(node: fx.Node, known: dict[fx.Node, Any]) -> Any:
    args: Any = _arguments(node, known)
    kwargs: Any = _arrays(node.kwargs, known)
    if node.target is operator.getitem:
        return args[0][args[1]]
    return _as_declared(TABLE[_name(node)](*args, **kwargs), node.meta["val"])


def _arguments(node: fx.Node, known: dict[fx.Node, Any]) -> Sequence[Any]:
    if _name(node) not in PRODUCTS:
        return _arrays(node.args, known)
    *first, a, b = node.args
    return *_arrays(first, known), _matrix(a, known), _matrix(b, known)


def _arrays(arguments: Any, known: dict[fx.Node, Any]) -> Any:
    return fx.map_arg(arguments, lambda node: added_up(known[node]))


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


def jax_dtype(dtype: torch.dtype) -> Any:
    """The jax dtype of a torch dtype; 64-bit ones become 32-bit unless jax has x64 enabled."""
    return jax.dtypes.canonicalize_dtype(str(dtype).removeprefix("torch."))
