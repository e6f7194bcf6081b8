"""Finds the normalizations of a model: torch's own, and those of other classes."""

from __future__ import annotations

import pytest
import torch
from helpers.custom_norms import MeanSquare
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.nn import OnlineNorm, replace_norms


def conv_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Sequential(nn.Conv2d(8, 8, 3), nn.GroupNorm(2, 8))
    )


def test_replace_norms_carries_affine_weights_over() -> None:
    model = conv_net()
    nn.init.uniform_(model[1].weight)
    nn.init.uniform_(model[2][1].bias)
    weight, bias = model[1].weight.clone(), model[2][1].bias.clone()
    assert replace_norms(model, "online", alpha_fwd=0.5) is model
    assert isinstance(model[1], OnlineNorm)
    assert isinstance(model[2][1], OnlineNorm)
    assert model[1].alpha_fwd == 0.5
    assert torch.equal(model[1].weight, weight)
    assert torch.equal(model[2][1].bias, bias)


def test_replace_norms_obeys_overrides() -> None:
    model = replace_norms(conv_net(), "online", overrides={"1": "keep", "2.*": "rms"})
    assert isinstance(model[1], nn.BatchNorm2d)
    assert type(model[2][1]).__name__ == "RMSNorm"
    with pytest.raises(UserError, match="nothing"):
        replace_norms(conv_net(), "online", overrides={"nothing*": "keep"})


def test_an_override_may_set_options_of_one_module() -> None:
    rules = {"1": {"alpha_bkw": 0.5}, "2.*": {"kind": "group", "groups": 4}}
    model = replace_norms(conv_net(), "online", overrides=rules, alpha_fwd=0.9)
    assert (model[1].alpha_fwd, model[1].alpha_bkw) == (0.9, 0.5)
    assert isinstance(model[2][1], nn.GroupNorm)
    assert model[2][1].num_groups == 4
    with pytest.raises(UserError, match="decay"):
        replace_norms(conv_net(), "online", overrides={"1": {"decay": 0.5}})


class ResponseNorm(MeanSquare):
    """Scales features by their share of the response over space, and adds the input."""

    def forward(self, x: Tensor) -> Tensor:
        size = x.square().sum((1, 2), keepdim=True).sqrt()
        return x + self.weight * x * size / size.mean(-1, keepdim=True)


class GatedNorm(MeanSquare):
    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        return super().forward(x if gate is None else x * gate)


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


def test_a_norm_with_two_names_is_replaced_at_both() -> None:
    norm = nn.LayerNorm(8)
    model = replace_norms(nn.Sequential(norm, nn.Linear(8, 8), norm), "layer")
    assert model[0] is model[2]
    assert not isinstance(model[2], nn.LayerNorm)


def test_a_model_whose_norms_are_all_kept_stays_as_it_is() -> None:
    model = nn.Sequential(nn.LayerNorm(8), ResponseNorm(8))
    with pytest.warns(UserWarning, match="1: a ResponseNorm"):
        replace_norms(model, "online", overrides={"0": "keep"})
    assert isinstance(model[0], nn.LayerNorm)


def test_a_lazy_norm_that_has_not_run_says_so() -> None:
    model = nn.Sequential(nn.LazyBatchNorm2d())
    with pytest.raises(UserError, match=r"'0'[\s\S]*run the model once"):
        replace_norms(model, "online")
    model(torch.zeros(1, 8, 3, 3))
    assert replace_norms(model, "online")[0].num_features == 8
