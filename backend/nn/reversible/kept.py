"""Tensors kept for a backward pass as plain attributes.

`save_for_backward` may keep an output of its own function; an attribute may not (a circle of
references), so what is kept is the same memory without its history. Changes in place are noticed by
the version counter, which both share.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ...errors import UserError


@dataclass(frozen=True)
class KeptActivations:
    """A tensor's memory and its version when it was kept."""

    value: Tensor
    version: int

    @staticmethod
    def of(value: Tensor) -> KeptActivations:
        """Keep `value`."""
        return KeptActivations(value.detach(), value._version)

    def take(self) -> Tensor:
        """The tensor as it was kept. Raises UserError if it was changed in place since."""
        if self.value._version != self.version:
            raise UserError(
                "backward of a reversible chain",
                expected="its output, or the input of a recomputed module, as the forward gave it",
                got="a tensor that was changed in place since",
                change="replace the in-place operator on it (inplace=False, y = y + 1)",
            )
        return self.value
