"""Tensors kept for a backward pass as plain attributes."""

from __future__ import annotations

import torch
from helpers.reversible_chains import chain
from torch import Tensor, nn
from weft.backend.nn.reversible import ReversibleSequence


def kept_bytes(model: nn.Module, inputs: list[Tensor]) -> int:
    held: dict[int, int] = {}

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if not isinstance(value, nn.Parameter):
            held[storage.data_ptr()] = storage.nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        outputs = model(*inputs)
    assert outputs is not None
    return sum(held.values())


def test_no_activation_is_saved_however_long_the_chain() -> None:
    """Beside its output, which whoever reads it holds anyway."""
    inputs = [torch.randn(1, 4, 16, 16, requires_grad=True) for _ in range(2)]
    sizes = [
        kept_bytes(ReversibleSequence(*(layer for _ in range(n) for layer in chain(2))), inputs)
        for n in (1, 4)
    ]
    assert sizes == [0, 0]
