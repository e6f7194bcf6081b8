"""Sparse-IFT: sizes, shapes, and equal FLOPs by our own counter."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.transformed_networks import NETS, convolution_net, transformed
from torch import nn
from weft.backend.errors import UnknownNameError, UnsupportedError, UserError
from weft.backend.nn.sparse_ift import sparse_ift
from weft.sparsity import Sparsifier, configure

FAMILIES: list[Any] = ["wide", "parallel", "factorized", "doped"]


def large_linear_net() -> nn.Module:
    with torch.device("meta"):
        return nn.Sequential(
            nn.Linear(20, 512), nn.Linear(512, 768), nn.Linear(768, 512), nn.Linear(512, 10)
        )


def large_convolution_net() -> nn.Module:
    with torch.device("meta"):
        return nn.Sequential(
            nn.Conv2d(3, 128, 3), nn.Conv2d(128, 256, 3, 2), nn.Conv2d(256, 256, 3),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10),
        )  # fmt: skip


LARGE = {
    "linear": (large_linear_net, torch.zeros(1, 20)),
    "convolution": (large_convolution_net, torch.zeros(1, 3, 16, 16)),
}


@pytest.mark.parametrize("sparsity", [0.5, 0.75, 0.9])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("net", LARGE)
def test_transformed_layers_have_equal_flops_within_one_percent(
    net: str, family: Any, sparsity: float
) -> None:
    build, example = LARGE[net]
    result = sparse_ift(build(), family, sparsity, (example,))
    ends = {result.before.layers[0].name, result.before.layers[-1].name}
    before = sum(x.training.dense for x in result.before.layers if x.name not in ends)
    after = sum(x.training.effective for x in result.after.layers if x.name not in ends)
    assert after == pytest.approx(before, rel=0.01)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("net", NETS)
def test_the_search_meets_the_budget_of_the_whole_model(net: str, family: Any) -> None:
    result = transformed(net, family, 0.75, search=True)
    assert 0.999 < result.flop_ratio <= 1.0
    assert round(result.sparsity * 10_000) == pytest.approx(result.sparsity * 10_000)


def test_a_budget_of_ones_own_and_one_that_cannot_be_met() -> None:
    dense = transformed("linear", "doped", 0.5).before.training.dense
    result = transformed("linear", "parallel", 0.75, search=True, budget=dense / 2)
    assert 0.499 < result.flop_ratio <= 0.5
    with pytest.raises(UserError, match="raise the budget"):
        transformed("linear", "parallel", 0.75, search=True, budget=1.0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("net", NETS)
def test_transformed_models_train_sparse_with_the_predicted_counts(net: str, family: Any) -> None:
    torch.manual_seed(0)
    build, example = NETS[net]
    original = build()
    result = sparse_ift(original, family, 0.75, (example,))
    masks = configure(result.config(algorithm="set")).masks(result.model)
    assert set(masks) == set(result.sparse_weights)
    densities = {layer.weight: layer.density for layer in result.after.layers}
    for name, mask in masks.items():
        assert int(mask.sum()) / mask.numel() == pytest.approx(densities[name])
    optimizer = torch.optim.SGD(result.model.parameters(), lr=0.01)
    Sparsifier(result.model, optimizer, result.config(algorithm="set"))
    inputs = torch.randn(4, *example.shape[1:])
    out = result.model(inputs)
    assert out.shape == original(inputs).shape
    out.square().sum().backward()
    optimizer.step()
    assert all(torch.isfinite(p).all() for p in result.model.parameters())


def test_the_given_model_stays_as_it_is() -> None:
    model = convolution_net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for family in FAMILIES:
        sparse_ift(model, family, 0.5, (torch.zeros(1, 3, 12, 12),))
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_what_cannot_be_done_is_said() -> None:
    example = (torch.zeros(1, 20),)
    with pytest.raises(UnknownNameError, match="did you mean 'wide'"):
        transformed("linear", "wyde", 0.5)
    with pytest.raises(UserError, match="narrow keep"):
        transformed("linear", "doped", 0.5, keep=("*",))
    attention = nn.Sequential(
        nn.Linear(20, 8), nn.TransformerEncoderLayer(8, 2, 16), nn.Linear(8, 2)
    )
    with pytest.raises(UnsupportedError, match="self_attn"):
        sparse_ift(attention, "wide", 0.5, example)
    flat = nn.Sequential(nn.Conv2d(1, 5, 3), nn.Flatten(), nn.Linear(5 * 4 * 4, 8), nn.Linear(8, 2))
    with pytest.raises(UserError, match="fit each other"):
        sparse_ift(flat, "wide", 0.5, (torch.zeros(1, 1, 6, 6),))
