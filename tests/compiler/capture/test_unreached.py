"""Parameters that autograd gives no gradient are frozen: an optimizer leaves them alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from weft.compiler.capture.capture import capture


class Reads(nn.Module):
    """Reads a parameter by `how` only, beside one that is trained."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.trained = nn.Parameter(torch.randn(3, 2))
        self.read = nn.Parameter(torch.randn(3, 2))

    def forward(self, x):
        return self.how(x.reshape(3, 2) * self.trained, self.read).sum()


READ = {
    "shape": lambda h, p: h[:1].expand_as(p),
    "another shape": lambda h, p: h.reshape(6).view_as(p),
    "sign": lambda h, p: torch.where(p > 0, h, 2 * h),
    "count of what is not zero": lambda h, p: h + torch.linalg.vector_norm(p, 0),
    "label": lambda h, p: nn.functional.hinge_embedding_loss(h, p.sign()),
    "detached": lambda h, p: h * p.detach(),
}
TRAINED = {
    "product": lambda h, p: h * p,
    "norm": lambda h, p: h + torch.linalg.vector_norm(p, 3),
    "rounded, whose gradient is zero and not none": lambda h, p: h + p.round(),
    "second of a pair": lambda h, p: torch.maximum(h, p),
}


@pytest.mark.parametrize("how", READ)
def test_what_is_only_read_is_frozen(how):
    assert frozen(READ[how]) == {"read"}


@pytest.mark.parametrize("how", TRAINED)
def test_what_has_a_gradient_is_trained(how):
    assert frozen(TRAINED[how]) == set()


def frozen(how):
    """Names of the frozen parameters, which are those without a gradient in eager torch."""
    model, x = Reads(how), torch.randn(1, 6)
    model(x).backward()
    without = {name for name, value in model.named_parameters() if value.grad is None}
    found = capture(model, (x,), None).frozen
    assert found == without
    return found
