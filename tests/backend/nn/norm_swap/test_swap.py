"""A swap normalizes the axes of what it replaces, or is refused by name."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.nn import OnlineNorm, replace_norms


class OverChannels(nn.LayerNorm):
    """As in many vision networks: (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.movedim(1, -1)
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps).movedim(
            -1, 1
        )


class LastGroups(nn.GroupNorm):
    """(N, *positions, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(-1, 1)).movedim(1, -1)


class MeanSquare(nn.Module):
    """As in transformers; `shift` 1 as in Gemma, whose weight is the gain less 1."""

    def __init__(self, features: int, shift: float = 0.0) -> None:
        super().__init__()
        self.weight, self.shift = nn.Parameter(torch.ones(features)), shift

    def forward(self, x: Tensor) -> Tensor:
        return (self.weight + self.shift) * x * torch.rsqrt(x.square().mean(-1, True) + 1e-6)


class MeanSquareNorm(MeanSquare):
    pass


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


class ResponseNorm(MeanSquare):
    """Scales features by their share of the response over space, and adds the input."""

    def forward(self, x: Tensor) -> Tensor:
        size = x.square().sum((1, 2), keepdim=True).sqrt()
        return x + self.weight * x * size / size.mean(-1, keepdim=True)


class GatedNorm(MeanSquare):
    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        return super().forward(x if gate is None else x * gate)


class BothNorm(nn.LayerNorm):
    """Channels of images, the last axis of all else."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 4:
            return super().forward(x)
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


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


def test_nothing_to_replace_is_said() -> None:
    with pytest.raises(UserError, match="no normalization"):
        replace_norms(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), "online")
    with pytest.raises(UserError, match=r"1: a ResponseNorm"):
        replace_norms(nn.Sequential(nn.Linear(8, 8), ResponseNorm(8)), "online")
    done = nn.Sequential(OnlineNorm(4))
    assert replace_norms(done, "online") is done


def test_what_stays_beside_others_is_named() -> None:
    model = nn.Sequential(nn.BatchNorm2d(8), ResponseNorm(8), GatedNorm(8), nn.InstanceNorm2d(8))
    with pytest.warns(UserWarning, match=r"1: a ResponseNorm[\s\S]*2: a GatedNorm[\s\S]*3: a"):
        replace_norms(model, "online")
    assert [type(module) for module in model[:3]] == [OnlineNorm, ResponseNorm, GatedNorm]
    kept = nn.Sequential(nn.BatchNorm2d(8), ResponseNorm(8))
    replace_norms(kept, "online", overrides={"1": "keep"})
    with pytest.raises(UserError, match="'1'"):
        replace_norms(
            nn.Sequential(nn.BatchNorm2d(8), ResponseNorm(8)), "online", overrides={"1": "rms"}
        )


def test_a_layer_norm_of_no_single_axis_is_refused() -> None:
    with pytest.raises(UserError, match="both"):
        replace_norms(nn.Sequential(BothNorm(8)), "online")
    with pytest.raises(UserError, match="normalized_shape"):
        replace_norms(nn.Sequential(nn.LayerNorm((4, 8))), "online")


def test_a_norm_with_two_names_is_replaced_at_both() -> None:
    norm = nn.LayerNorm(8)
    model = replace_norms(nn.Sequential(norm, nn.Linear(8, 8), norm), "layer")
    assert model[0] is model[2]
    assert not isinstance(model[2], nn.LayerNorm)


def test_norms_on_the_meta_device_are_swapped_there() -> None:
    model = nn.Sequential(OverChannels(8), MeanSquareNorm(8)).to("meta")
    replace_norms(model, "online")
    assert isinstance(model[0], OnlineNorm)
    assert all(parameter.is_meta for parameter in model.parameters())
