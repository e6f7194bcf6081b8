"""The operators that stand in a trace for a block; none is left in a captured graph."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx.node import has_side_effect

_LIBRARY = torch.library.Library("weft_capture", "FRAGMENT")
_TAGS = (torch.Tag.pt2_compliant_tag,)
_LIBRARY.define("enter(Tensor[] operands, int call) -> ()", tags=_TAGS)
_LIBRARY.define("leave(Tensor[] results, int call) -> ()", tags=_TAGS)
_LIBRARY.define("again(Tensor[] operands, int call, str body) -> Tensor[]", tags=_TAGS)


def _nothing(_: Sequence[Tensor], __: int) -> None:
    return None


def _again(operands: Sequence[Tensor], _: int, body: str) -> list[Tensor]:
    """Tensors as the body's results are: `body` says number, shapes, strides, dtypes, devices."""
    return [
        torch.empty_strided(shape, stride, dtype=getattr(torch, dtype), device=device)
        for shape, stride, dtype, device in json.loads(body)[1]
    ]


def _autograd(*_: object) -> tuple[None, ...]:
    return (None,) * 3


for _name in ("enter", "leave"):
    torch.library.register_fake(f"weft_capture::{_name}", _nothing, lib=_LIBRARY)
torch.library.register_fake("weft_capture::again", _again, lib=_LIBRARY)
torch.library.register_autograd("weft_capture::again", _autograd, lib=_LIBRARY)

ENTER = torch.ops.weft_capture.enter.default
"""Tensors that a call is given, and the number of the call."""
LEAVE = torch.ops.weft_capture.leave.default
"""Tensors that a call returns."""
AGAIN = torch.ops.weft_capture.again.default
"""What a call would return whose nodes are those of another one, of `body`."""

for _operator in (ENTER, LEAVE, AGAIN):
    has_side_effect(_operator)  # not to be removed where no one uses the results


def body_text(call: int, results: Sequence[Tensor]) -> str:
    """The argument `body`: the number of the call, and what its results look like."""
    return json.dumps([call, [_described(result) for result in results]])


def body_call(text: str) -> int:
    """The number of the call in the argument `body`."""
    return json.loads(text)[0]


def _described(value: Tensor) -> list[Any]:
    dtype = str(value.dtype).removeprefix("torch.")
    return [list(value.shape), list(value.stride()), dtype, str(value.device)]
