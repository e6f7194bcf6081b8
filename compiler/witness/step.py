"""What one step of training computes, before weights change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from .draws import Draw


@dataclass(frozen=True)
class WitnessStep:
    """Loss, the model's outputs, gradients by parameter, what tensors are afterwards, draws.

    A parameter that no gradient reaches is missing from `gradients`, and a tensor that nothing
    changes may be missing from `after`. `late` is what the backward drew or wrote to.
    """

    loss: Tensor
    outputs: tuple[Tensor, ...]
    gradients: Mapping[str, Tensor]
    after: Mapping[str, Tensor]
    draws: tuple[Draw, ...] = field(default=())
    late: tuple[str, ...] = ()
