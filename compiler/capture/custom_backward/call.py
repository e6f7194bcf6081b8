"""A call of the user's own Python with its backward, as the target of a node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

Foreign = tuple[Tensor, ...]
"""Objects that are one tensor which Python finds by itself: in a closure, a global, a module."""


@dataclass(frozen=True, eq=False)
class CustomCall:
    """What runs on the operands, the last of which stand for the tensors in `foreign`.

    `name` says what it is, `number` tells it from the others of its capture.
    """

    name: str
    number: int
    run: Callable[..., Any]
    foreign: tuple[Foreign, ...]

    def __call__(self, *operands: Tensor) -> Any:
        """A list of tensors, or one tensor of a hook; differentiable as the user wrote it."""
        return self.run(*operands[: len(operands) - len(self.foreign)])

    def stand_ins(self, operands: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Each foreign tensor with the operand that stands for it."""
        own = operands[len(operands) - len(self.foreign) :]
        return [(t, value) for ts, value in zip(self.foreign, own, strict=True) for t in ts]

    @property
    def __name__(self) -> str:
        """What its nodes are called after."""
        last = self.name.rpartition(" ")[2].rpartition(".")[2]
        return last if last.isidentifier() else "custom_call"

    def __str__(self) -> str:
        return f"{self.name}#{self.number}"
