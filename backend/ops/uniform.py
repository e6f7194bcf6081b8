"""Random numbers that depend on a counter alone, for dropout and stochastic depth.

`weft::uniform` is a pure function of a key (place, n): element k of what it draws is

    floor(h(k + h(n + h(place))) / 2**8) / 2**24        in [0, 1), exact in float32

with h the 32-bit mixer "lowbias32" (C. Wellons, hash-prospector, 2018). The key is state of the
forward pass: the place stays, the count n grows by one per sample. So a run is reproducible, two
samples have independent masks, and a recomputation that does not advance the state draws the same
again. All arithmetic is modulo 2**32, so that any device can do it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_LIBRARY = torch.library.Library("weft", "FRAGMENT")
_LIBRARY.define(
    "uniform(Tensor key, SymInt[] size) -> (Tensor drawn, Tensor next_key)",
    tags=(torch.Tag.pt2_compliant_tag,),
)
_WORD = 0xFFFFFFFF


def uniform(key: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Numbers in [0, 1), float32 of shape `size`; and the key of the next sample.

    `key` is an int64 tensor (2,), both entries at least 0: which place of the model draws, and how
    often it has drawn.
    """
    return torch.ops.weft.uniform.default(key, list(size))


def key_name(number: int) -> str:
    """The name of the buffer that is the key of draw `number` of a model."""
    return f"random.{number}.key"


def draw_number(buffer: str) -> int | None:
    """Which random draw of a model a buffer is the key of, if it is one."""
    number = buffer.removeprefix("random.").removesuffix(".key")
    return int(number) if number.isdecimal() and buffer == key_name(int(number)) else None


def place_of(number: int, seed: int) -> int:
    """The place that entry 0 of the key of draw `number` of a model names, by a run's seed.

    Draws of one seed have places of their own; seed 0 leaves the number as it is.
    """
    return (number + int(_mix(torch.tensor(seed & _WORD)))) & (_WORD >> 1)


def _mix(x: Tensor) -> Tensor:
    """lowbias32 of each element; int64 in and out, values below 2**32."""
    x = (x ^ (x >> 16)) * 0x7FEB352D & _WORD
    x = (x ^ (x >> 15)) * 0x846CA68B & _WORD
    return x ^ (x >> 16)


def _uniform(key: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    place, count = key[0], key[1]
    start = _mix((count + _mix(place & _WORD)) & _WORD)
    index = torch.arange(torch.Size(size).numel(), device=key.device)
    drawn = _mix((index + start) & _WORD) >> 8
    next_key = torch.stack([place, count + 1])
    return (drawn.to(torch.float32) / 2**24).reshape(list(size)), next_key


def _fake(key: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    return key.new_empty(size, dtype=torch.float32), torch.empty_like(key)


def _autograd(ctx: object, *_: object) -> tuple[None, ...]:
    return (None,) * 2


_LIBRARY.impl("uniform", _uniform, "CompositeExplicitAutograd")
torch.library.register_fake("weft::uniform", _fake, lib=_LIBRARY)
torch.library.register_autograd("weft::uniform", _autograd, lib=_LIBRARY)
