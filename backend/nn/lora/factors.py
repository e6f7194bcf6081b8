"""The two factors of an adapter for each kind of layer, under PEFT's names."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LayerKind = Literal["linear", "transposed", "convolution", "embedding"]
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def kind_of(layer: nn.Module) -> LayerKind | None:
    """'transposed' is the linear layer of GPT-2, whose weight is (in, out); None: no adapter."""
    if isinstance(layer, nn.Linear):
        return "linear"
    if isinstance(layer, _CONVOLUTIONS):
        return "convolution" if layer.groups == 1 else None
    if isinstance(layer, nn.Embedding):
        return "embedding" if layer.max_norm is None else None
    is_conv1d = type(layer).__name__ == "Conv1D" and hasattr(layer, "nf")
    return "transposed" if is_conv1d else None


@dataclass(frozen=True)
class WeightSizes:
    """The layer's weight as a matrix (out, into); of an embedding (features, entries)."""

    into: int
    out: int

    @classmethod
    def of(cls, layer: nn.Module) -> WeightSizes:
        weight = layer.weight
        assert isinstance(weight, Tensor)
        if kind_of(layer) in ("transposed", "embedding"):
            return cls(weight.shape[0], weight.shape[1])
        return cls(prod(weight.shape[1:]), weight.shape[0])


def make_factors(layer: nn.Module, rank: int) -> dict[str, nn.Module | nn.Parameter]:
    """A and B by PEFT's names, on the layer's device and dtype; their product is 0.

    A begins Kaiming-uniform with a = sqrt(5), as a linear layer's weight does, and B at 0; of
    embeddings A at 0 and B normal.
    """
    weight, sizes = layer.weight, WeightSizes.of(layer)
    assert isinstance(weight, Tensor)
    place: Any = {"device": weight.device, "dtype": weight.dtype}
    if isinstance(layer, nn.Embedding):
        a = nn.Parameter(torch.zeros(rank, sizes.into, **place))
        b = nn.Parameter(torch.empty(sizes.out, rank, **place).normal_())
        return {"lora_embedding_A": a, "lora_embedding_B": b}
    if isinstance(layer, _CONVOLUTIONS):
        geometry: Any = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        mode = layer.padding_mode
        down: nn.Module = type(layer)(
            layer.in_channels, rank, *geometry, bias=False, padding_mode=mode, **place
        )
        up: nn.Module = type(layer)(rank, sizes.out, 1, bias=False, **place)  # type: ignore[arg-type]
    else:
        down = nn.Linear(sizes.into, rank, bias=False, **place)
        up = nn.Linear(rank, sizes.out, bias=False, **place)
    nn.init.zeros_(up.weight)  # type: ignore[arg-type]
    return {"lora_A": down, "lora_B": up}


def product(layer: nn.Module, a: Tensor, b: Tensor) -> Tensor:
    """B A in the shape of the layer's weight."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    matrix = b.flatten(1) @ a.flatten(1)
    if kind_of(layer) in ("transposed", "embedding"):
        matrix = matrix.mT
    return matrix.reshape(weight.shape)


def apply_weight(layer: nn.Module, x: Tensor, weight: Tensor) -> Tensor:
    """The layer's output with another weight."""
    bias = getattr(layer, "bias", None)
    if isinstance(layer, nn.Embedding):
        return F.embedding(x, weight, layer.padding_idx)
    if isinstance(layer, _CONVOLUTIONS):
        return layer._conv_forward(x, weight, bias)
    return F.linear(x, weight.mT if kind_of(layer) == "transposed" else weight, bias)
