"""A loss that begins in its layer, whatever gradient comes from behind."""

from __future__ import annotations

import torch
from weft.backend.ops.local_loss import with_local_loss


def test_the_value_passes_and_the_loss_has_gradient_one() -> None:
    y = torch.randn(3, dtype=torch.float64, requires_grad=True)
    a = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    passed = with_local_loss(y, a**3)
    assert torch.equal(passed, y)
    (7.0 * passed.sum()).backward()
    assert y.grad is not None
    assert (y.grad == 7.0).all()
    assert a.grad is not None
    assert float(a.grad) == 3 * 2.0**2


def test_the_operator_is_sound() -> None:
    y, loss = torch.randn(3, requires_grad=True), torch.tensor(1.0, requires_grad=True)
    torch.library.opcheck(torch.ops.weft.local_loss.default, (y, loss))
