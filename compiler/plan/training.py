"""How a plan's weights are trained, as far as mapping, memory and balance depend on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

Mask = np.ndarray | torch.Tensor | float
"""True where a weight is kept; or a float: the share of weights that are zero, at random."""


@dataclass(frozen=True)
class Training:
    """The sparsity and the optimizer of a training run.

    `masks` maps parameter names to boolean tensors or to a sparsity; parameters without one are
    dense. Masks of the parameters in `dynamic` change during training: their stages keep room for
    it and are not balanced. `optimizer_states` is the number of state tensors per weight (1 for SGD
    with momentum, 2 for AdamW). `matrix_rule` names the update rule if it steps parameters as
    matrices, but for those that `by_element` is about (see by_element.py).
    """

    masks: Mapping[str, Mask] = field(default_factory=dict)
    dynamic: frozenset[str] = frozenset()
    optimizer_states: int = 1
    matrix_rule: str | None = None
    by_element: tuple[str, ...] | None = None

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """The masks that say of each weight whether it is kept."""
        found = {n: mask for n, mask in self.masks.items() if not isinstance(mask, float)}
        return {name: torch.as_tensor(mask) for name, mask in found.items()}
