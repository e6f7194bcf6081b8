"""Many rounds of a computation in one XLA program, with a number of rounds given at run time.

The program keeps its state on the device: what it is given is donated, so that it is updated in
place. Whatever the number of rounds, it is one program, which torch_xla compiles once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ...compiler.plan.program import TensorSpec
from .library import XLAC, xla_builder
from .trace import Op, Tree, to_device

Body = Callable[[Tree, Tree, Op], tuple[Tree, Sequence[Op]]]
"""(state, what stays fixed, round number) to (state, a row of each result)."""


class DeviceLoop:
    """`rounds` rounds at most of `body`.

    `state` and `fixed` are trees of tensors like those it will be given; `rows` are the results of
    one round, each without a dimension for the rounds.
    """

    def __init__(
        self, body: Body, state: Tree, fixed: Tree, rows: Sequence[TensorSpec], rounds: int
    ) -> None:
        self._body, self._rows, self._rounds = body, rows, rounds
        self._state, self._fixed = _form(state), _form(fixed)
        self._program = self._build(
            [*_leaves(state), *_leaves(fixed), to_device(torch.zeros(()).int())]
        )

    def __call__(self, state: Tree, fixed: Tree, count: int) -> tuple[Tree, list[Tensor]]:
        """The state after `count` rounds, and each result with one row per round.

        Rows after `count` are zero. The tensors of `state` are gone afterwards.
        """
        donated = _leaves(state)
        for tensor in donated:
            XLAC._set_buffer_donation(tensor, True)
        arguments = [*donated, *_leaves(fixed), to_device(torch.tensor(count, dtype=torch.int32))]
        made = XLAC._xla_user_computation("weft::loop", arguments, self._program)
        XLAC._xla_sync_multi(made, [], False, True)
        after = pytree.tree_unflatten(made[: len(donated)], self._state)
        return after, made[len(donated) :]

    def _build(self, arguments: Sequence[Tensor]) -> object:
        builder = xla_builder.create_builder("loop")
        shapes = map(xla_builder.tensor_shape, arguments)
        parameters = [xla_builder.mkparam(builder, n, shape) for n, shape in enumerate(shapes)]
        *given, count = parameters
        rows = [_zeros(builder, spec, self._rounds) for spec in self._rows]
        carried = [scalar(builder, 0), count, *given, *rows]
        ended = Op.mkwhile(carried, lambda n, count, *_: n < count, self._round)
        kept = [*range(self._state.num_leaves), *range(len(given), len(given) + len(rows))]
        return Op.tuple([ended.get_tuple_element(2 + n) for n in kept]).build("loop")

    def _round(self, number: Op, count: Op, *carried: Op) -> list[Op]:
        first, second = self._state.num_leaves, self._fixed.num_leaves
        state = pytree.tree_unflatten(carried[:first], self._state)
        constants = carried[first : first + second]
        fixed = pytree.tree_unflatten(constants, self._fixed)
        state, made = self._body(state, fixed, number)
        collected = zip(carried[first + second :], made, strict=True)
        rows = [put(rows, row, number) for rows, row in collected]
        return [number + scalar(number.builder(), 1), count, *_leaves(state), *constants, *rows]


def scalar(builder: object, value: int) -> Op:
    """A number to count and to index with."""
    return Op.scalar(builder, value, dtype=xla_builder.Type.S32)


def at(rows: Op, index: Op) -> Op:
    """Row `index` of an array, without its first dimension."""
    sizes = list(rows.shape().sizes)
    row = rows.dynamic_slice(_start(index, sizes), [1, *sizes[1:]])
    return row.reshape(sizes[1:])


def put(rows: Op, row: Op, index: Op) -> Op:
    """The array with another row at `index`."""
    return rows.dynamic_update_slice(row.broadcast([1]), _start(index, rows.shape().sizes))


def _start(index: Op, sizes: Sequence[int]) -> list[Op]:
    return [index, *(scalar(index.builder(), 0) for _ in sizes[1:])]


def _zeros(builder: object, spec: TensorSpec, rounds: int) -> Op:
    zero = Op.constant(builder, torch.zeros((), dtype=spec.torch_dtype))
    return zero.broadcast([rounds, *spec.shape])


def _leaves(tree: Tree) -> list[Any]:
    return pytree.tree_leaves(tree)


def _form(tree: Tree) -> pytree.TreeSpec:
    return pytree.tree_structure(tree)
