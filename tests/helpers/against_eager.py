"""What the stages of a small model compute, against torch's own autograd on the same weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from weft.compiler.capture.capture import capture, own_tensors
from weft.compiler.capture.sample import OneSample
from weft.compiler.stages.cut import cut

from .staged import forward_backward

SAMPLE = torch.tensor([[0.7, -1.3, 0.2, 2.1]])
LABEL = torch.tensor([1])


class Between(nn.Module):
    """Two layers; what happens between them is the subclass's `between`."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 3)

    def between(self, h: Tensor) -> Tensor:
        return h

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.between(self.first(x)))


def assert_like_eager(model: nn.Module, *sample: Tensor, loss=F.cross_entropy, steps: int = 1):
    """Loss, gradients and buffers of `steps` samples without an update are those of eager torch."""
    sample = sample or (SAMPLE, LABEL)
    tensors = {
        n: value.detach().clone() for n, value in own_tensors(OneSample(model, loss)).items()
    }
    graph = capture(model, sample, loss)
    stages = cut(graph)
    tensors = {**graph.constants, **tensors}
    for _ in range(steps):
        model.zero_grad()
        expected = OneSample(model, loss)(*(value.clone() for value in sample))[0]
        expected.backward()
        got, _, gradients, state = forward_backward(stages, tensors, sample)
        torch.testing.assert_close(got, expected.detach())
        for name, parameter in model.named_parameters():
            if parameter.grad is None:
                assert name not in gradients, f"{name} would be trained"
            else:
                torch.testing.assert_close(gradients[name], parameter.grad, msg=name)
        for name, buffer in model.named_buffers():
            torch.testing.assert_close(state.get(name, tensors[name]), buffer, msg=name)
        tensors |= state
