"""Reference models: shapes, parameter counts, and normalizations by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from weft.backend.errors import UnknownNameError, UserError
from weft.models import model_entry, models, resnet
from weft.nn import OnlineNorm, make_norm, norm_kinds, replace_norms


@pytest.mark.parametrize("name", [*models()])
def test_logits_of_a_sample_on_the_meta_device(name: str) -> None:
    entry = model_entry(name)
    with torch.device("meta"):
        model = entry.factory(classes=7)
        logits = model(torch.empty(2, *entry.input_shape))
    assert logits.shape == (2, 7, *entry.label_shape)


def resnet_parameters(n: int, width: int, classes: int) -> int:
    """Counted from the architecture: convolutions without bias, 2 values per normalized channel."""
    count = 3 * 9 * width + (4 * width + 1) * classes + 2 * 4 * width
    channels = width
    for outputs in (width, 2 * width, 4 * width):
        for index in range(n):
            count += 9 * channels * outputs + 9 * outputs * outputs + 2 * channels + 2 * outputs
            count += channels * outputs if index == 0 and channels != outputs else 0
            channels = outputs
    return count


@pytest.mark.parametrize(("depth", "n"), [(20, 3), (32, 5), (110, 18)])
def test_resnet_has_the_parameters_of_its_architecture(depth: int, n: int) -> None:
    model = resnet(depth)
    assert sum(p.numel() for p in model.parameters()) == resnet_parameters(n, 16, 10)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 1 + 6 * n + 2
    assert all(c.bias is None for c in convolutions)
    assert sum(isinstance(m, OnlineNorm) for m in model.modules()) == 6 * n + 1


def test_published_parameter_count_of_resnet20() -> None:
    assert round(sum(p.numel() for p in resnet(20).parameters()) / 1e6, 2) == 0.27


def test_the_caller_seeds_the_initial_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([p.detach().flatten() for p in resnet(8).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize("depth", [2, 18, 21])
def test_other_depths_are_refused(depth: int) -> None:
    with pytest.raises(UserError, match="6n"):
        resnet(depth)


def test_unknown_model_names_the_closest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'resnet20'"):
        model_entry("resnet-20")


@pytest.mark.parametrize("kind", norm_kinds())
@pytest.mark.parametrize("shape", [(2, 8), (2, 8, 3, 3)], ids=str)
def test_every_norm_takes_features_and_images(kind: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    assert make_norm(kind, 8)(torch.randn(shape)).shape == shape


def test_rms_norm_of_features_is_torch_rms_norm() -> None:
    x = torch.randn(3, 8)
    torch.testing.assert_close(make_norm("rms", 8, eps=1e-5)(x), nn.RMSNorm(8, eps=1e-5)(x))


def test_unknown_kind_and_unknown_option_are_user_errors() -> None:
    with pytest.raises(UnknownNameError, match="online"):
        make_norm("onlin", 8)
    with pytest.raises(UserError, match="decay"):
        make_norm("online", 8, decay=0.9)


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
