"""Random numbers that depend on a counter alone, for dropout and stochastic depth.

`weft::uniform` is a pure function: element k of what a place `salt` draws at count n is

    floor(h(k + h(n + h(salt))) / 2**8) / 2**24        in [0, 1), exact in float32

with h the 32-bit mixer "lowbias32" (C. Wellons, hash-prospector, 2018). The count is state of the
forward pass and grows by one per sample, so a run is reproducible, two samples have independent
masks, and a recomputation that does not advance the state draws the same again. All arithmetic is
modulo 2**32, so that any device can do it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_LIBRARY = torch.library.Library("weft", "FRAGMENT")
_LIBRARY.define(
    "uniform(Tensor count, int salt, SymInt[] size) -> (Tensor drawn, Tensor new_count)",
    tags=(torch.Tag.pt2_compliant_tag,),
)
_WORD = 0xFFFFFFFF


def uniform(count: Tensor, salt: int, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Numbers in [0, 1), float32 of shape `size`; and count + 1.

    `count` is an int64 tensor (1,), at least 0; `salt` tells places of a model apart.
    """
    return torch.ops.weft.uniform.default(count, salt, list(size))


def _mix(x: Tensor) -> Tensor:
    """lowbias32 of each element; int64 in and out, values below 2**32."""
    x = (x ^ (x >> 16)) * 0x7FEB352D & _WORD
    x = (x ^ (x >> 15)) * 0x846CA68B & _WORD
    return x ^ (x >> 16)


def _uniform(count: Tensor, salt: int, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    place = _mix(torch.full_like(count, salt & _WORD))
    index = torch.arange(torch.Size(size).numel(), device=count.device)
    drawn = _mix((index + _mix((count + place) & _WORD)) & _WORD)
    return ((drawn >> 8).to(torch.float32) / 2**24).reshape(list(size)), count + 1


def _fake(count: Tensor, salt: int, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    return count.new_empty(size, dtype=torch.float32), torch.empty_like(count)


def _autograd(ctx: object, *_: object) -> tuple[None, ...]:
    return (None,) * 3


_LIBRARY.impl("uniform", _uniform, "CompositeExplicitAutograd")
torch.library.register_fake("weft::uniform", _fake, lib=_LIBRARY)
torch.library.register_autograd("weft::uniform", _autograd, lib=_LIBRARY)
