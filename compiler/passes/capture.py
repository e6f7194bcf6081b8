"""`capture`: a torch model becomes one functional graph."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ..capture.capture import capture
from ..capture.graph import Graph
from ..capture.sample import Loss, Sample


@dataclass(frozen=True)
class Capture:
    """Trace the model and its loss on one sample, without reading a weight.

    before: class Net(nn.Module):                   after: %x, %target: inputs; %w: "head.weight"
                def forward(self, x):                      %linear = aten.linear(%x, %w)
                    return self.head(x)                    %loss = aten.cross_entropy_loss(%linear,
            loss = F.cross_entropy                                                         %target)
    """

    loss: Loss | None = None

    def __call__(self, model: nn.Module, example_inputs: Sample) -> Graph:
        return capture(model, example_inputs, self.loss)
