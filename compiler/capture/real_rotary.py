"""Rotary positions in complex numbers (DeepSeek-V2 and Llama 4 of transformers), in real ones."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

_HEADS_AXIS = {
    "transformers.models.deepseek_v2.modeling_deepseek_v2": 1,
    "transformers.models.llama4.modeling_llama4": 2,
}
"""Python modules whose `apply_rotary_emb` multiplies with complex numbers: the axis of heads."""
_CHANGING = ("dynamic", "longrope")
"""Kinds of positions whose frequencies depend on the sample; they stay as they are."""


@contextmanager
def real_rotary(model: nn.Module) -> Iterator[None]:
    """Let rotary embeddings return (cos, sin), and rotate pairs of features by them: the products
    and sums of the complex numbers."""
    kinds = {type(part) for part in model.modules() if _is_complex(part)}
    with ExitStack() as stack:
        for kind in kinds:
            home = sys.modules[kind.__module__]
            apply = _rotation(_HEADS_AXIS[kind.__module__])
            stack.enter_context(patch.object(kind, "forward", _cos_and_sin))
            stack.enter_context(patch.object(home, "apply_rotary_emb", apply))
        yield


def _is_complex(part: nn.Module) -> bool:
    is_rotary = type(part).__name__.endswith("RotaryEmbedding")
    if not is_rotary or type(part).__module__ not in _HEADS_AXIS:
        return False
    return not any(kind in getattr(part, "rope_type", "") for kind in _CHANGING)


def _cos_and_sin(own: Any, x: Tensor, position_ids: Tensor) -> Tensor:
    """(N, T, pairs, 2): where transformers has cos + i sin."""
    frequencies = own.inv_freq.to(device=x.device, dtype=torch.float)
    angles = position_ids[..., None].float() * frequencies
    return torch.stack([angles.cos(), angles.sin()], -1) * own.attention_scaling


def _rotation(heads_axis: int) -> Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
    def apply(queries: Tensor, keys: Tensor, turns: Tensor) -> tuple[Tensor, Tensor]:
        cos, sin = turns.unsqueeze(heads_axis).to(queries.device).unbind(-1)
        return _rotated(queries, cos, sin), _rotated(keys, cos, sin)

    return apply


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    real, imaginary = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = real * cos - imaginary * sin, real * sin + imaginary * cos
    return torch.stack(turned, -1).flatten(-2).type_as(x)
