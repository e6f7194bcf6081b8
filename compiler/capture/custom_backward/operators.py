"""The operators that stand for calls in a trace; none is left in a captured graph."""

from __future__ import annotations

import json
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.fx.node import has_side_effect

_LIBRARY = torch.library.Library("weft_backward", "FRAGMENT")
_TAGS = (torch.Tag.pt2_compliant_tag,)
_LIBRARY.define("function(Tensor[] operands, str results, int number) -> Tensor[]", tags=_TAGS)
_LIBRARY.define("hook(Tensor value, Tensor[] operands, int number) -> ()", tags=_TAGS)


def _function(_: Sequence[Tensor], results: str, __: int) -> list[Tensor]:
    """Tensors as `results` says."""
    return [
        torch.empty_strided(shape, stride, dtype=getattr(torch, dtype), device=device)
        for shape, stride, dtype, device in json.loads(results)
    ]


def _hook(_: Tensor, __: Sequence[Tensor], ___: int) -> None:
    return None


def _autograd(*_: object) -> tuple[None, ...]:
    return (None,) * 3


torch.library.register_fake("weft_backward::function", _function, lib=_LIBRARY)
torch.library.register_fake("weft_backward::hook", _hook, lib=_LIBRARY)
torch.library.register_autograd("weft_backward::function", _autograd, lib=_LIBRARY)

FUNCTION = torch.ops.weft_backward.function.default
"""What an autograd Function returns, given all tensors that it reads; its number."""
HOOK = torch.ops.weft_backward.hook.default
"""A hook on the gradient of a tensor, the other tensors that it reads, and its number."""

for _operator in (FUNCTION, HOOK):
    has_side_effect(_operator)


def described(values: Sequence[Tensor]) -> str:
    """The argument `results`."""
    return json.dumps(
        [
            [list(v.shape), list(v.stride()), str(v.dtype).removeprefix("torch."), str(v.device)]
            for v in values
        ]
    )
