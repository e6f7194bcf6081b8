"""Sparse Wide: all features between the model's input and output become wider."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..errors import UnsupportedError
from .ift_layers import initialized

_WIDTHS = ("num_features", "num_channels")


def widen(model: nn.Module, width: Callable[[int], int], first: str, last: str) -> None:
    """Change every layer of `model` in place from f to width(f) features.

    Not the inputs of layer `first` and the outputs of layer `last`. Linear layers and
    convolutions get new weights; per-channel modules (norms) repeat theirs. Raises
    `UnsupportedError` for another module with parameters of its own.
    """
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear):
            _widen_linear(module, width, name == first, name == last)
        elif isinstance(module, nn.Conv2d):
            _widen_convolution(module, width, name == first, name == last)
        elif isinstance(module, nn.Embedding):
            module.embedding_dim = width(module.embedding_dim)
            shape = (module.num_embeddings, module.embedding_dim)
            module.weight = nn.Parameter(nn.init.normal_(module.weight.new_empty(shape)))
        else:
            _widen_channels(name, module, width)


def _widen_linear(
    layer: nn.Linear, width: Callable[[int], int], is_first: bool, is_last: bool
) -> None:
    layer.in_features = layer.in_features if is_first else width(layer.in_features)
    layer.out_features = layer.out_features if is_last else width(layer.out_features)
    _new_weights(layer, (layer.out_features, layer.in_features))


def _widen_convolution(
    layer: nn.Conv2d, width: Callable[[int], int], is_first: bool, is_last: bool
) -> None:
    depthwise = layer.groups == layer.in_channels
    layer.in_channels = layer.in_channels if is_first else width(layer.in_channels)
    layer.out_channels = layer.out_channels if is_last else width(layer.out_channels)
    layer.groups = layer.in_channels if depthwise and layer.groups > 1 else layer.groups
    inputs = layer.in_channels // layer.groups
    _new_weights(layer, (layer.out_channels, inputs, *layer.kernel_size))


def _new_weights(layer: nn.Linear | nn.Conv2d, shape: tuple[int, ...]) -> None:
    layer.weight = nn.Parameter(layer.weight.new_empty(shape))
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias.new_empty(shape[0]))
    initialized(layer)


def _widen_channels(name: str, module: nn.Module, width: Callable[[int], int]) -> None:
    tensors = dict(module.named_parameters(recurse=False)) | dict(
        module.named_buffers(recurse=False)
    )
    sized = {key: tensor for key, tensor in tensors.items() if tensor.dim() > 0}
    if len({tensor.shape for tensor in sized.values()}) > 1 or any(
        tensor.dim() > 1 for tensor in sized.values()
    ):
        raise UnsupportedError(
            f"Sparse Wide of module '{name}' ({type(module).__name__})",
            expected="linear layers, 2-d convolutions, embeddings, and per-channel modules",
            got="parameters of its own of shape "
            + ", ".join(str(tuple(tensor.shape)) for tensor in sized.values()),
            change="build the wide model from its own factory with weft.nn.widened(...) features",
        )
    with torch.no_grad():
        for key, tensor in sized.items():
            _put(module, key, _repeated(tensor, width(tensor.shape[0])))
    for key in _WIDTHS:
        if sized and isinstance(getattr(module, key, None), int):
            setattr(module, key, width(getattr(module, key)))
    if isinstance(module, nn.LayerNorm) and sized:
        module.normalized_shape = tuple(width(size) for size in module.normalized_shape)


def _repeated(tensor: Tensor, size: int) -> Tensor:
    return tensor[torch.arange(size, device=tensor.device) % tensor.shape[0]].clone()


def _put(module: nn.Module, key: str, value: Tensor) -> None:
    if key in dict(module.named_parameters(recurse=False)):
        setattr(module, key, nn.Parameter(value))
    else:
        module.register_buffer(key, value, persistent=key not in module._non_persistent_buffers_set)
