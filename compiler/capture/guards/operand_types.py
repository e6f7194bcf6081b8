"""Operands of several types that torch itself refuses, and that the tensors of a trace let pass.

eager: F.linear(float32, bfloat16)        RuntimeError: mat1 and mat2 must have the same dtype
trace: F.linear(float32, bfloat16)        a tensor of float32
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor, fx
from torch._ops import OpOverload
from torch.utils._pytree import tree_leaves, tree_map_only

from ....backend.errors import UnsupportedError
from ..origin import origin_of

_NO_KERNEL = "not implemented for"
"""What torch says where it lacks a type on this device only."""


def check_operand_types(graph: fx.Graph) -> None:
    """Of each operator with each mix of floating-point types the smallest call is run on zeros.

    Operators by element convert their operands, in a trace as well, and are left out. Raises
    UnsupportedError, with the line, for a call that torch refuses, or gives another type.
    """
    smallest: dict[tuple[Any, ...], fx.Node] = {}
    for node in graph.nodes:
        types = tuple(value.dtype for value in _operands(node) if _is_real(value))
        if len(set(types)) > 1 and _is_checked(node):
            key = node.target, types
            smallest[key] = min(smallest.get(key, node), node, key=_elements)
    for node in smallest.values():
        _run(node)


def _is_checked(node: fx.Node) -> bool:
    target = node.target
    if not isinstance(target, OpOverload) or target.namespace != "aten":
        return False
    return torch.Tag.pointwise not in target.tags


def _operands(node: fx.Node) -> Iterator[Tensor]:
    values = (operand.meta.get("val") for operand in node.all_input_nodes)
    return (value for value in values if isinstance(value, Tensor))


def _is_real(value: Tensor) -> bool:
    return value.is_floating_point() or value.is_complex()


def _elements(node: fx.Node) -> int:
    return sum(prod(value.shape) for value in _operands(node))


def _run(node: fx.Node) -> None:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        zeros = partial(_zeros, is_written=node.target._schema.is_mutable)  # type: ignore[union-attr]
        args, kwargs = tree_map_only(fx.Node, zeros, (node.args, node.kwargs))
        try:
            made = node.target(*args, **kwargs)  # type: ignore[operator]
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            if _NO_KERNEL not in reason:
                raise _refusal(node, f"torch says: {reason}") from error
            return
    traced, own = _types(node.meta["val"]), _types(made)
    if traced != own:
        raise _refusal(node, f"torch makes {own} of them, its trace {traced}")


def _zeros(node: fx.Node, is_written: bool) -> Any:
    """Zeros of the shape and type of a value, one in the place of all unless they are written."""
    value = node.meta["val"]
    if not isinstance(value, Tensor):
        return value
    zeros = torch.zeros((), dtype=value.dtype).expand(value.shape)
    return zeros.clone() if is_written else zeros


def _types(made: Any) -> str:
    tensors = (value for value in tree_leaves(made) if isinstance(value, Tensor))
    return " and ".join(str(value.dtype).removeprefix("torch.") for value in tensors)


def _refusal(node: fx.Node, reason: str) -> UnsupportedError:
    types = dict.fromkeys(str(v.dtype).removeprefix("torch.") for v in _operands(node))
    return UnsupportedError(
        f"{node.target} in {origin_of(node, strip='model')}",
        expected="operands of types that torch takes",
        got=f"{' and '.join(types)}; {reason}",
        change="convert one of them there, such as x.to(weight.dtype), or give the sample in the"
        " type of the weights: in a recipe input.dtype",
    )
