"""Finds by trial which axes a normalization normalizes, and the affine map that follows."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.custom_norms import MeanSquare, MeanSquareNorm, OverChannels
from torch import Tensor, nn
from weft.nn import OnlineNorm, replace_norms


def test_layer_replaces_a_layer_norm_by_its_equal() -> None:
    torch.manual_seed(0)
    old = nn.Sequential(nn.LayerNorm(8))
    nn.init.normal_(old[0].weight)
    x = torch.randn(2, 5, 8)
    expected = old(x)
    torch.testing.assert_close(replace_norms(old, "layer")(x), expected)


def test_what_replaces_a_layer_norm_normalises_the_last_dimension() -> None:
    model = replace_norms(nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8)), "online")
    x = torch.randn(2, 5, 6)
    hidden = model[0](x)
    expected = OnlineNorm(8)(hidden.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(model(x), expected)


class LastGroups(nn.GroupNorm):
    """(N, *positions, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(-1, 1)).movedim(1, -1)


class CentredNorm(MeanSquare):
    """A layer norm without a bias."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean(-1, keepdim=True))


class PlainNorm(nn.Module):
    """Without parameters, as OLMo's."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.normalized_shape = (features,)

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, eps=1e-6)


@pytest.mark.parametrize("width", [8, 6])
def test_online_norm_takes_the_channels_that_a_layer_norm_took(width: int) -> None:
    norm = replace_norms(OverChannels(8), "online").train()
    image = torch.arange(8.0).reshape(1, 8, 1, 1).expand(1, 8, 8, width)
    norm(image)
    assert isinstance(norm, OnlineNorm)
    torch.testing.assert_close(norm.mean.float(), 0.001 * torch.arange(8.0))


@pytest.mark.parametrize("shape", [(2, 8, 8, 8), (2, 8, 3, 8)], ids=str)
def test_layer_over_channels_is_what_it_was(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    old, x = OverChannels(8), torch.randn(shape)
    nn.init.normal_(old.weight)
    expected = old(x)
    torch.testing.assert_close(replace_norms(old, "layer")(x), expected)


def test_a_group_norm_of_the_last_axis_stays_there() -> None:
    x = torch.randn(2, 3, 4, 8)
    expected = LastGroups(2, 8)(x)
    torch.testing.assert_close(replace_norms(LastGroups(2, 8), "group", groups=2)(x), expected)


@pytest.mark.parametrize(
    ("old", "kind"),
    [
        (MeanSquareNorm(8), "rms"),
        (MeanSquareNorm(8, shift=1.0), "rms"),
        (nn.RMSNorm(8, eps=1e-6), "rms"),
        (CentredNorm(8), "layer"),
        (PlainNorm(8), "layer"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_norms_of_other_classes_are_replaced_by_their_equals(old: nn.Module, kind: str) -> None:
    torch.manual_seed(0)
    for parameter in old.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(2, 5, 8)
    expected = old(x)
    new = replace_norms(nn.Sequential(old), kind, eps=1e-6)
    assert not isinstance(new[0], type(old))
    torch.testing.assert_close(new(x), expected, rtol=1e-4, atol=1e-5)


def test_a_norm_is_tried_on_the_cpu_where_models_are_made_on_meta() -> None:
    with torch.device("meta"):
        new = replace_norms(nn.Sequential(PlainNorm(8)), "layer")
    assert type(new[0]) is not PlainNorm
    assert all(parameter.is_meta for parameter in new.parameters())
