"""A swap normalizes the axes of what it replaces, or is refused by name."""

from __future__ import annotations

import pytest
import torch.nn.functional as F
from helpers.custom_norms import MeanSquareNorm, OverChannels
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.nn import OnlineNorm, replace_norms


class BothNorm(nn.LayerNorm):
    """Channels of images, the last axis of all else."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 4:
            return super().forward(x)
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class ActivatedNorm(nn.BatchNorm2d):
    """As in timm: a norm and an activation in one."""

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(super().forward(x))


class HiddenActivation(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x))


def test_what_a_norm_does_beside_normalizing_is_not_dropped() -> None:
    model = replace_norms(nn.Sequential(ActivatedNorm(8)), "online")
    assert [type(module) for module in model[0]] == [OnlineNorm, nn.ReLU]
    with pytest.raises(UserError, match="HiddenActivation, which does more than a BatchNorm2d"):
        replace_norms(nn.Sequential(HiddenActivation(8)), "online")


def test_a_norm_whose_weights_begin_at_zero_is_known_by_what_it_normalizes() -> None:
    model = nn.Sequential(ActivatedNorm(8))
    nn.init.zeros_(model[0].weight)
    replace_norms(model, "online")
    assert isinstance(model[0][0], OnlineNorm)
    assert not model[0][0].weight.any()


def test_a_layer_norm_of_no_single_axis_is_refused() -> None:
    with pytest.raises(UserError, match="both"):
        replace_norms(nn.Sequential(BothNorm(8)), "online")
    with pytest.raises(UserError, match="normalized_shape"):
        replace_norms(nn.Sequential(nn.LayerNorm((4, 8))), "online")


def test_norms_on_the_meta_device_are_swapped_there() -> None:
    model = nn.Sequential(OverChannels(8), MeanSquareNorm(8)).to("meta")
    replace_norms(model, "online")
    assert isinstance(model[0], OnlineNorm)
    assert all(parameter.is_meta for parameter in model.parameters())
