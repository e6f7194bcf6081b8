"""A loss whose gradient begins where it is computed, beside the value that passes by.

`weft::local_loss(y, loss)` is y; backward, y's gradient passes and that of `loss` is 1, whatever
comes from behind. So a term such as a router's balance trains its own layer, in a pipeline with no
delay, and its value is no part of the model's loss.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_LIBRARY = torch.library.Library("weft", "FRAGMENT")
_LIBRARY.define("local_loss(Tensor y, Tensor loss) -> Tensor", tags=(torch.Tag.pt2_compliant_tag,))


def with_local_loss(y: Tensor, loss: Tensor) -> Tensor:
    """A copy of y; `loss` (no dimensions) is minimised with weight 1 by what it is computed from.

    The gradient is that of one backward of the model's loss, so micro-batches each add theirs.
    """
    return torch.ops.weft.local_loss.default(y, loss)


def _forward(y: Tensor, loss: Tensor) -> Tensor:
    return y.clone()


def _context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.loss_dtype = inputs[1].dtype


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
    return gradient, torch.ones((), dtype=ctx.loss_dtype, device=gradient.device)


_LIBRARY.impl("local_loss", _forward, "CompositeExplicitAutograd")
torch.library.register_fake("weft::local_loss", lambda y, loss: torch.empty_like(y), lib=_LIBRARY)
torch.library.register_autograd("weft::local_loss", _backward, setup_context=_context, lib=_LIBRARY)
