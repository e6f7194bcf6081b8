"""Sparse Parallel, Factorized and Doped forms of one linear layer or convolution.

Each takes what the layer takes and returns its shape. `SPARSE_WEIGHTS` says which weights of a
form are to be made sparse, as globs inside the form. New weights are Kaiming-normal, fan-out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod

import torch
from torch import Tensor, nn

from .ift_sizes import branches, inner_size, low_rank

Dense = nn.Linear | nn.Conv2d

SPARSE_WEIGHTS: dict[type[nn.Module], tuple[str, ...]] = {}


class SparseParallel(nn.Module):
    """k sparse copies of the layer, each with its own norm if asked for, summed."""

    def __init__(
        self, layer: Dense, sparsity: float, norm: Callable[[int], nn.Module] | None = None
    ) -> None:
        super().__init__()
        bias = layer.bias is not None
        copies = [_like(layer, bias=bias and i == 0) for i in range(branches(sparsity))]
        outputs = _features(layer)[1]
        self.branches = nn.ModuleList(copies)
        self.norms = nn.ModuleList(norm(outputs) if norm else nn.Identity() for _ in copies)

    def forward(self, x: Tensor) -> Tensor:
        """The sum over the branches."""
        parts = zip(self.branches, self.norms, strict=True)
        return reduce(torch.add, (norm(branch(x)) for branch, norm in parts))


class SparseFactorized(nn.Module):
    """V activation(norm(U x)): U sparse with the layer's kernel, V sparse and pointwise."""

    def __init__(
        self,
        layer: Dense,
        sparsity: float,
        activation: Callable[[], nn.Module] = nn.ReLU,
        norm: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        inputs, outputs, taps = _features(layer)
        size = inner_size(inputs, outputs, sparsity, taps)
        self.inner = _like(layer, outputs=size, bias=False)
        self.norm = norm(size) if norm else nn.Identity()
        self.activation = activation()
        self.outer = _pointwise(layer, size, bias=layer.bias is not None)

    def forward(self, x: Tensor) -> Tensor:
        """V activation(norm(U x))."""
        return self.outer(self.activation(self.norm(self.inner(x))))


class SparseDoped(nn.Module):
    """The layer with a sparse weight, plus a dense low-rank product V U."""

    def __init__(self, layer: Dense, sparsity: float) -> None:
        super().__init__()
        inputs, outputs, taps = _features(layer)
        rank = low_rank(inputs, outputs, sparsity, taps)
        self.sparse = _like(layer, bias=layer.bias is not None)
        self.down = _like(layer, outputs=rank, bias=False)
        self.up = _pointwise(layer, rank, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """W x + V U x."""
        return self.sparse(x) + self.up(self.down(x))


SPARSE_WEIGHTS |= {
    SparseParallel: ("branches.*.weight",),
    SparseFactorized: ("inner.weight", "outer.weight"),
    SparseDoped: ("sparse.weight",),
}


def initialized(layer: nn.Module) -> nn.Module:
    """The layer with a Kaiming-normal, fan-out weight and zero bias."""
    assert isinstance(layer.weight, Tensor)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if isinstance(layer.bias, Tensor):
        nn.init.zeros_(layer.bias)
    return layer


def _features(layer: Dense) -> tuple[int, int, int]:
    """Input features, output features, taps."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features, 1
    return layer.in_channels, layer.out_channels, prod(layer.kernel_size)


def _like(layer: Dense, outputs: int | None = None, *, bias: bool) -> nn.Module:
    """A new layer with the geometry of the old one."""
    place = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    width = _features(layer)[1] if outputs is None else outputs
    if isinstance(layer, nn.Linear):
        return initialized(nn.Linear(layer.in_features, width, bias, **place))
    conv = nn.Conv2d(
        layer.in_channels,
        width,
        layer.kernel_size,  # type: ignore[arg-type]
        layer.stride,  # type: ignore[arg-type]
        layer.padding,  # type: ignore[arg-type]
        layer.dilation,  # type: ignore[arg-type]
        bias=bias,
        padding_mode=layer.padding_mode,
        **place,
    )
    return initialized(conv)


def _pointwise(layer: Dense, inputs: int, *, bias: bool) -> nn.Module:
    place = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    outputs = _features(layer)[1]
    if isinstance(layer, nn.Linear):
        return initialized(nn.Linear(inputs, outputs, bias, **place))
    return initialized(nn.Conv2d(inputs, outputs, 1, bias=bias, **place))
