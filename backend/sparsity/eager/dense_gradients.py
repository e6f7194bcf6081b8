"""Gradients as they are before masks, added up for the next update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, distributed

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class DenseGradients:
    """What `.grad` would be without masks, and its sum over the steps that count for an update.

    Torch tells nobody that gradients were zeroed; it is seen in `.grad`, which holds the masked sum
    of the same micro-batches.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._used: set[str] = set()
        self.collected: dict[str, Tensor] = {}

    def clear(self, collected: Mapping[str, Tensor] = {}) -> None:
        """Begin again with what other steps have collected."""
        self._sums, self._used, self.collected = {}, set(), dict(collected)

    def add(self, name: str, gradient: Tensor, grad: Tensor | None, mask: Tensor) -> None:
        """One more micro-batch; `grad` holds the masked gradients of those before it."""
        dense = gradient.detach()
        is_first = not self._lasts(name, grad, mask)
        self._sums[name] = dense.clone() if is_first else self._sums[name] + dense
        self._used.discard(name)

    def collect(self, name: str, grad: Tensor | None, mask: Tensor) -> None:
        """A step was made with these gradients."""
        if self._lasts(name, grad, mask):
            before = self.collected.get(name)
            dense = self._sums[name]
            self.collected[name] = dense if before is None else before + dense
            self._used.add(name)

    def take(self, name: str, group: ProcessGroup | None) -> Tensor | None:
        """What was collected, summed over the processes of a group; the next sum begins at 0."""
        dense = self.collected.pop(name, None)
        if dense is None or group is None:
            return dense
        total = dense.clone()
        distributed.all_reduce(total, group=group)
        return total

    def _lasts(self, name: str, grad: Tensor | None, mask: Tensor) -> bool:
        """Whether the gradients in the sum are still those in `.grad`: not zeroed since."""
        if name not in self._sums or grad is None:
            return False
        if bool(grad.any()):
            return True
        return name not in self._used and not bool(self._sums[name][mask].any())
