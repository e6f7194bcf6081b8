"""Rows that each go through the weight of one expert: the product of a mixture of experts.

`weft::routed_mm(x, weight, expert, top_k, capacity)`: x (rows, in), weight (experts, in, out),
expert (rows,) the number of each row's expert, or -1 for a row that none takes, whose result is 0.
`weft::routed_mm_weight(x, gradient, expert, experts, top_k, capacity)` is the gradient of the
weight: the sum over an expert's rows of their outer products.

Shapes do not depend on where rows go. `top_k` (rows of one token) and `capacity` (rows that an
expert takes at most) change no number; they say what a plan has to make room for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_LIBRARY = torch.library.Library("weft", "FRAGMENT")
_TAGS = (torch.Tag.pt2_compliant_tag,)
_LIBRARY.define(
    "routed_mm(Tensor x, Tensor weight, Tensor expert, int top_k, int capacity) -> Tensor",
    tags=_TAGS,
)
_LIBRARY.define(
    "routed_mm_weight(Tensor x, Tensor gradient, Tensor expert, int experts, int top_k,"
    " int capacity) -> Tensor",
    tags=_TAGS,
)


def routed_product(x: Tensor, weight: Tensor, expert: Tensor, top_k: int, capacity: int) -> Tensor:
    """(rows, out): each row of x (rows, in) times the (in, out) of its expert, see above."""
    return torch.ops.weft.routed_mm.default(x, weight, expert, top_k, capacity)


def _product(x: Tensor, weight: Tensor, expert: Tensor, top_k: int, capacity: int) -> Tensor:
    """Every expert on its own rows, however many; only those that have some."""
    y = x.new_zeros(x.shape[0], weight.shape[2])
    for number, rows in _rows_of(expert, weight.shape[0]):
        y[rows] = x[rows] @ weight[number]
    return y


def _weight_gradient(
    x: Tensor, gradient: Tensor, expert: Tensor, experts: int, top_k: int, capacity: int
) -> Tensor:
    sums = x.new_zeros(experts, x.shape[1], gradient.shape[1])
    for number, rows in _rows_of(expert, experts):
        sums[number] = x[rows].mT @ gradient[rows]
    return sums


def _rows_of(expert: Tensor, experts: int) -> list[tuple[int, Tensor]]:
    found = ((number, (expert == number).nonzero().squeeze(1)) for number in range(experts))
    return [(number, rows) for number, rows in found if len(rows)]


def _product_of_all(x: Tensor, weight: Tensor, expert: Tensor, top_k: int, capacity: int) -> Tensor:
    """The same in fixed shapes: one product with all experts, each sees its own rows."""
    return _apart(x, expert, weight.shape[0]) @ weight.flatten(0, 1)


def _weight_gradient_of_all(
    x: Tensor, gradient: Tensor, expert: Tensor, experts: int, top_k: int, capacity: int
) -> Tensor:
    sums = _apart(x, expert, experts).mT @ gradient
    return sums.reshape(experts, x.shape[1], gradient.shape[1])


def _apart(x: Tensor, expert: Tensor, experts: int) -> Tensor:
    """(rows, experts * in): a row's values where its expert's are, and 0."""
    numbers = torch.arange(experts, device=x.device, dtype=expert.dtype)
    is_own = (expert.unsqueeze(1) == numbers).unsqueeze(2)
    return torch.where(is_own, x.unsqueeze(1), 0).flatten(1)


def _context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, expert, ctx.top_k, ctx.capacity = inputs
    ctx.save_for_backward(x, weight, expert)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    x, weight, expert = ctx.saved_tensors
    load, ops = (ctx.top_k, ctx.capacity), torch.ops.weft
    of_x = of_weight = None
    if ctx.needs_input_grad[0]:
        of_x = ops.routed_mm.default(gradient, weight.mT, expert, *load)
    if ctx.needs_input_grad[1]:
        experts = weight.shape[0]
        of_weight = ops.routed_mm_weight.default(x, gradient, expert, experts, *load)
    return of_x, of_weight, None, None, None


_LIBRARY.impl("routed_mm", _product, "CPU")
_LIBRARY.impl("routed_mm_weight", _weight_gradient, "CPU")
for key in ("CUDA", "XLA"):
    _LIBRARY.impl("routed_mm", _product_of_all, key)
    _LIBRARY.impl("routed_mm_weight", _weight_gradient_of_all, key)
torch.library.register_fake(
    "weft::routed_mm",
    lambda x, weight, *_: x.new_empty(x.shape[0], weight.shape[2]),
    lib=_LIBRARY,
)
torch.library.register_fake(
    "weft::routed_mm_weight",
    lambda x, gradient, _, experts, *__: x.new_empty(experts, x.shape[1], gradient.shape[1]),
    lib=_LIBRARY,
)
torch.library.register_autograd("weft::routed_mm", _backward, setup_context=_context, lib=_LIBRARY)
