"""What a block is given and what it returns: tensors, and a description of everything else."""

from __future__ import annotations

import operator
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from .structure import frozen, is_plain


@dataclass(frozen=True)
class Given:
    """Arguments: each tensor once, all leaves in order, and what must agree to give the same."""

    operands: tuple[Tensor, ...]
    described: Hashable
    leaves: tuple[Any, ...]
    arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def is_unchanged(self) -> bool:
        """Whether lists and dicts among the arguments hold what they did."""
        leaves, _ = tree_flatten(self.arguments)
        return len(leaves) == len(self.leaves) and all(map(operator.is_, leaves, self.leaves))


@dataclass(frozen=True)
class ResultShape:
    """A result without its tensors: a `_Number` counts the operands, then the other tensors."""

    leaves: tuple[Any, ...]
    spec: TreeSpec
    described: Hashable


@dataclass(frozen=True)
class _Number:
    """A tensor by its number."""

    number: int


def given(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Given | None:
    """The arguments of a call; None if there is no tensor or something else than plain data."""
    leaves, spec = tree_flatten((args, kwargs))
    numbers, tensors = _numbered(leaves, ())
    if numbers is None or not tensors:
        return None
    described = repr(spec), tuple(map(_frozen, numbers)), tuple(map(_described, tensors))
    return Given(tensors, described, tuple(leaves), (args, kwargs))


def returned(
    value: Any, operands: Sequence[Tensor]
) -> tuple[tuple[Tensor, ...], ResultShape] | None:
    """The tensors a call on `operands` returns beside these, and the shape of all it returns.

    None for what another call could not return alike: something else than tensors and plain data,
    no new tensor, or tensors that do not require a gradient as the results of an operator would,
    all of them if an operand does.
    """
    leaves, spec = tree_flatten(value)
    numbers, tensors = _numbered(leaves, operands)
    results = tensors[len(operands) :]
    if numbers is None or not results:
        return None
    needs = torch.is_grad_enabled() and any(operand.requires_grad for operand in operands)
    if any(r.requires_grad is not (needs and r.is_floating_point()) for r in results):
        return None
    described = repr(spec), tuple(map(_frozen, numbers)), tuple(map(_described, results))
    return results, ResultShape(numbers, spec, described)


def rebuilt(shape: ResultShape, operands: Sequence[Tensor], results: Sequence[Tensor]) -> Any:
    """A result of this shape."""
    tensors = [*operands, *results]
    leaves = [tensors[leaf.number] if isinstance(leaf, _Number) else leaf for leaf in shape.leaves]
    return tree_unflatten(leaves, shape.spec)


def _numbered(
    leaves: Sequence[Any], before: Sequence[Tensor]
) -> tuple[tuple[Any, ...] | None, tuple[Tensor, ...]]:
    """Leaves with each tensor as its number among `before` and the new ones; all these tensors."""
    tensors = list(before)
    numbers = {id(tensor): number for number, tensor in enumerate(tensors)}
    found: list[Any] = []
    for leaf in leaves:
        if isinstance(leaf, Tensor):
            if id(leaf) not in numbers:
                numbers[id(leaf)] = len(tensors)
                tensors.append(leaf)
            found.append(_Number(numbers[id(leaf)]))
        elif is_plain(leaf):
            found.append(leaf)
        else:
            return None, ()
    return tuple(found), tuple(tensors)


def _frozen(leaf: Any) -> Hashable:
    return leaf if isinstance(leaf, _Number) else frozen(leaf)


def _described(value: Tensor) -> Hashable:
    layout = tuple(value.shape), value.stride(), value.storage_offset()
    return type(value), *layout, value.dtype, value.device, value.requires_grad
