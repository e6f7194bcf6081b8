"""A swap normalizes the axes of what it replaces, or is refused by name."""

from __future__ import annotations

import pytest
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
