"""Convolutions and their gradients against torch, in a process of their own: a compiler may end it.

python -m weft.tests.helpers.convolutions jax|torch-xla
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Run = Callable[[Sequence[Tensor], tuple[Any, ...]], Sequence[Tensor]]
"""(x, weight, gradient of the output) and ATen's arguments to the output and both gradients."""


@dataclass(frozen=True)
class Case:
    """One convolution: shapes, and ATen's arguments after the bias."""

    x: tuple[int, ...]
    weight: tuple[int, ...]
    arguments: tuple[Any, ...]
    dtype: torch.dtype = torch.float64


ENDED = (
    Case((1, 9, 7, 6), (15, 3, 7, 2), ((2, 2), (4, 1), (1, 1), False, (0, 0), 3)),
    Case((1, 3, 7, 6), (5, 3, 7, 2), ((2, 2), (4, 1), (1, 1), False, (0, 0), 1)),
    Case((1, 15, 5, 4), (15, 3, 7, 2), ((2, 2), (4, 1), (1, 1), True, (0, 0), 3)),
)
"""XLA's compiler ended the process at a gradient of the first, and at the output of the last."""


def drawn(count: int, seed: int) -> Iterator[Case]:
    """Of one to three dimensions, of some groups, one in four transposed."""
    draw = random.Random(seed)
    while count:
        rank, groups, is_transposed = (
            draw.choice((1, 2, 3)),
            draw.choice((2, 3)),
            not draw.randrange(4),
        )
        kernel = tuple(draw.randint(1, 3) for _ in range(rank))
        stride, dilation = (tuple(draw.randint(1, 2) for _ in range(rank)) for _ in range(2))
        padding = tuple(draw.randint(0, k - 1) for k in kernel)
        sizes = tuple(draw.randint(5, 7) for _ in range(rank))
        inputs, outputs = draw.randint(1, 3), draw.randint(1, 3)
        ends = (inputs * groups, outputs) if is_transposed else (outputs * groups, inputs)
        more = tuple(draw.randrange(s) * is_transposed for s in stride)
        arguments = (stride, padding, dilation, is_transposed, more, groups)
        dtype = draw.choice((torch.float32, torch.float64))
        yield Case(
            (draw.randint(1, 2), inputs * groups, *sizes), (*ends, *kernel), arguments, dtype
        )
        count -= 1


def compare(case: Case, run: Run) -> None:
    """Raises AssertionError if `run` and eager torch differ."""
    generator = torch.Generator().manual_seed(0)
    given = [
        torch.randn(shape, generator=generator, dtype=case.dtype, requires_grad=True)
        for shape in (case.x, case.weight)
    ]
    y = torch.convolution(*given, None, *case.arguments)
    grad = torch.randn(y.shape, generator=generator, dtype=case.dtype)
    expected = (y, *torch.autograd.grad(y, given, grad))
    made = run([*(value.detach() for value in given), grad], case.arguments)
    near = 1e-11 if case.dtype == torch.float64 else 1e-4
    for mine, theirs in zip(made, expected, strict=True):
        torch.testing.assert_close(mine, theirs.detach(), rtol=near, atol=near)


def by_jax(given: Sequence[Tensor], arguments: tuple[Any, ...]) -> list[Tensor]:
    """Compiled, as the executor has it."""
    import jax
    from weft.runtime.jax.ops.convolution import convolution, convolution_backward

    def made(x: Any, weight: Any, grad: Any) -> tuple[Any, ...]:
        wanted = (True, True, False)
        grads = convolution_backward(grad, x, weight, None, *arguments, wanted)
        return convolution(x, weight, None, *arguments), *grads[:2]

    with jax.enable_x64(True):
        return [torch.tensor(y.__array__()) for y in jax.jit(made)(*(x.numpy() for x in given))]


def by_torch_xla(given: Sequence[Tensor], arguments: tuple[Any, ...]) -> list[Tensor]:
    """Traced, then compiled at the first value that is read."""
    from weft.runtime.torch_xla.convolution import Shifts, convolution, convolution_backward
    from weft.runtime.torch_xla.device import start
    from weft.runtime.torch_xla.trace import to_device

    start("cpu")
    x, weight, grad = map(to_device, given)
    shifts = Shifts.of(x, weight, arguments)
    grads = convolution_backward(grad, x, weight, shifts, (True, True, False))
    found = (convolution(x, weight, None, shifts), *grads[:2])
    return [value.cpu() for value in found if value is not None]


if __name__ == "__main__":
    for one in (*ENDED, *drawn(8, 0)):
        compare(one, by_jax if sys.argv[1] == "jax" else by_torch_xla)
