"""A sample of torch's operator database as a small model: the operator, and a loss behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

DTYPE = torch.float64


class Probe(nn.Module):
    """Calls `operator` on the tensors of a sample and returns (loss, *outputs).

    Each floating-point tensor x of the sample arrives as x/2, and x/2 is added to it, which gives
    x to the last bit: if it `is_trained`, that half is a parameter, whose gradient is that of x.
    The loss is a sum of all outputs with fixed weights, of which no two are the same. Inputs and
    outputs have a batch dimension of 1 in front. What the operator leaves open, such as the sign of
    an eigenvector, is taken out of its result as the database says.
    """

    def __init__(self, operator: Callable[..., Any], sample: Any, is_trained: Sequence[bool]):
        super().__init__()
        self.operator, trained = operator, iter(is_trained)
        self.settled = sample.output_process_fn_grad
        leaves, self.spec = tree_flatten((sample.input, sample.args, sample.kwargs))
        self.leaves = list(leaves)
        self.given: list[Tensor] = []
        for number, leaf in enumerate(leaves):
            if not isinstance(leaf, Tensor):
                continue
            own = leaf.detach().clone().contiguous()
            if is_continuous(own):
                own = own / 2
                if next(trained):
                    self.register_parameter(_name(number), nn.Parameter(own.clone()))
                else:
                    self.register_buffer(_name(number), own.clone())
            self.given.append(own[None])

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        arriving, leaves = iter(given), []
        for number, leaf in enumerate(self.leaves):
            if isinstance(leaf, Tensor):
                half = getattr(self, _name(number), None)
                value = next(arriving)[0]
                leaf = value if half is None else value + half
            leaves.append(leaf)
        first, args, kwargs = tree_unflatten(leaves, self.spec)
        result = self.settled(self.operator(first, *args, **kwargs))
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        parts = [_weighted(output) for output in outputs if is_continuous(output)]
        return (torch.stack(parts).sum(), *(output[None] for output in outputs))


def is_continuous(value: Tensor) -> bool:
    """Whether a gradient may arrive at a tensor."""
    return value.is_floating_point() or value.is_complex()


def probes(operator: Callable[..., Any], sample: Any) -> Iterator[Probe]:
    """The sample with all its floating-point tensors trained; then with those of its first
    argument alone, since some operators have no derivative for the others."""
    tensors = [leaf for leaf in tree_leaves((sample.input,)) if isinstance(leaf, Tensor)]
    first = sum(map(is_continuous, tensors))
    others = tree_leaves((sample.args, sample.kwargs))
    rest = sum(isinstance(leaf, Tensor) and is_continuous(leaf) for leaf in others)
    yield Probe(operator, sample, [True] * (first + rest))
    if rest:
        yield Probe(operator, sample, [True] * first + [False] * rest)


@contextmanager
def unseeded() -> Iterator[None]:
    """Operators that draw are called as users call them: the database seeds torch before each."""
    from torch.testing._internal import common_methods_invocations as database

    def called(operator: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return operator(*args, **kwargs)

    with patch.object(database, "wrapper_set_seed", called):
        yield


def _name(number: int) -> str:
    return f"half_{number}"


def _weighted(output: Tensor) -> Tensor:
    if output.is_complex():
        output = torch.view_as_real(output.resolve_conj())
    numbers = torch.arange(output.numel(), dtype=torch.float64).reshape(output.shape)
    return (output.to(torch.float64) * torch.cos(numbers * 1.7 + 0.3)).sum()
