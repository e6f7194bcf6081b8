"""One model of a measurement."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ...compiler.capture.capture import Loss, Sample


@dataclass(frozen=True)
class Case:
    """A model, one sample for it, and its loss (None if the model returns its own)."""

    model: nn.Module
    sample: Sample
    loss: Loss | None
