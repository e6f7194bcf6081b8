"""Tensors without numbers are traced as if they lay on the CPU.

On the meta device the numbers that a forward writes down are lost: `torch.tensor(0.5)` with the
device of an input, `x[[0, 2]]`. Fake tensors hold none either way, so that of a tensor on the meta
device may say that it is on the CPU, where such numbers are kept and where models make tensors of
their own.

Making a fake tensor is torch's own business: no mode is told of the fifty questions that torch asks
about each parameter meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._subclasses.meta_utils import MetaConverter

_CPU = torch.device("cpu")
_PLAIN = (Tensor, nn.Parameter, nn.Buffer)


@contextmanager
def meta_as_cpu() -> Iterator[None]:
    """Inside, a fake tensor made of one on the meta device is on the CPU."""
    original = MetaConverter.__call__

    @wraps(original)
    def convert(self: Any, t: Tensor, *args: Any, callback: Any = None, **named: Any) -> Any:
        make = None if callback is None else _on_cpu(callback)
        with torch._C.DisableTorchFunction() if type(t) in _PLAIN else nullcontext():
            return original(self, t, *args, callback=make, **named)

    with patch.object(MetaConverter, "__call__", convert):
        yield


def _on_cpu(make: Callable[..., Any]) -> Callable[..., Any]:
    """Makes fake tensors like `make`, those of the meta device on the CPU."""

    def made(value: Callable[[], Tensor], device: torch.device | str) -> Any:
        is_meta = torch.device(device).type == "meta"
        return make(value, device=_CPU if is_meta else device)

    return made
