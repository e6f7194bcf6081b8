"""Weight Standardization (Qiao et al. 2019, arXiv:1903.10520) for the layers of a given model."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

_EPS = 1e-5


def standardize(weight: Tensor) -> Tensor:
    """(W - mean) / sqrt(variance + 1e-5) of each output channel's weights (dimension 0)."""
    axes = tuple(range(1, weight.dim()))
    centred = weight - weight.mean(axes, keepdim=True)
    return centred / (centred.square().mean(axes, keepdim=True) + _EPS).sqrt()


class StandardizedConv1d(nn.Conv1d):
    """`nn.Conv1d` that uses its standardised weight."""

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, standardize(self.weight), self.bias)


class StandardizedConv2d(nn.Conv2d):
    """`nn.Conv2d` that uses its standardised weight."""

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, standardize(self.weight), self.bias)


class StandardizedConv3d(nn.Conv3d):
    """`nn.Conv3d` that uses its standardised weight."""

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, standardize(self.weight), self.bias)


class StandardizedLinear(nn.Linear):
    """`nn.Linear` that uses its standardised weight."""

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, standardize(self.weight), self.bias)


_CONVOLUTIONS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv1d: StandardizedConv1d,
    nn.Conv2d: StandardizedConv2d,
    nn.Conv3d: StandardizedConv3d,
}


def standardize_weights(model: nn.Module, *, linear: bool = False) -> nn.Module:
    """Standardise the weights of all convolutions (and linear layers), in place; returns the model.

    Parameters, their names and the state_dict stay as they are: the layer standardises its weight
    in every forward. Masked weights would not stay zero: do not combine it with sparsity.
    """
    counterparts = _CONVOLUTIONS | ({nn.Linear: StandardizedLinear} if linear else {})
    for module in model.modules():
        if type(module) in counterparts:
            module.__class__ = counterparts[type(module)]
    return model
