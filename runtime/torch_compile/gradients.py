"""Outputs of stage programs as results of torch's autograd."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ...compiler.plan.program import HOST, Source
from .function import Forward, StageFunction


@dataclass(frozen=True)
class Leaf:
    """What a gradient goes back to: a parameter by name, or an input by number."""

    key: str | int
    tensor: Tensor


def with_gradients(
    function: StageFunction, tensors: Mapping[str, Tensor], made: Forward, leaves: Sequence[Leaf]
) -> tuple[Tensor, ...]:
    """The outputs in `made`, from which gradients go back to `leaves`."""
    keys = [leaf.key for leaf in leaves]
    return _Stages.apply(function, tensors, made, keys, *(leaf.tensor for leaf in leaves))  # type: ignore[return-value]


class _Stages(Function):
    """The forward has run already; the backward runs the stages' backwards, once."""

    @staticmethod
    def forward(
        ctx: Any,
        function: StageFunction,
        tensors: Mapping[str, Tensor],
        made: Forward,
        keys: Sequence[str | int],
        *leaves: Tensor,
    ) -> tuple[Tensor, ...]:
        names = list(dict.fromkeys(n for stage in function.stages for n in stage.parameters))
        ctx.function, ctx.names, ctx.keys = function, names, keys
        ctx.sizes = [len(saved) for saved in made.saved]
        ctx.save_for_backward(*(tensors[name] for name in names), *chain(*made.saved))
        ctx.set_materialize_grads(False)
        outputs = tuple(_apart(made.outputs))
        fixed = [
            value
            for value, source in zip(outputs, function.results, strict=True)
            if not _has_gradient(function, source, keys)
        ]
        ctx.mark_non_differentiable(*fixed)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]: the decorator's signature
        ctx: Any, *gradients: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        kept = iter(ctx.saved_tensors)
        tensors = {name: next(kept) for name in ctx.names}
        saved = [tuple(next(kept) for _ in range(size)) for size in ctx.sizes]
        made = ctx.function.backward(tensors, saved, gradients)
        found = {**made.parameters, **made.inputs}
        return (None, None, None, None, *(found.get(key) for key in ctx.keys))


def _apart(values: Sequence[Tensor]) -> Iterator[Tensor]:
    """Tensors of their own: a value and the same value detached are one in a program."""
    seen: set[int] = set()
    for value in values:
        is_own = not value._is_view() and id(value) not in seen
        seen.add(id(value))
        yield value if is_own else value.clone()


def _has_gradient(function: StageFunction, source: Source, keys: Sequence[str | int]) -> bool:
    if source.stage == HOST:
        return source.output in keys
    return function.stages[source.stage].program.output_needs_grad[source.output]
