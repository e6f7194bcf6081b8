"""Masks: exact counts, reproducible positions, and pruned weights that stay pruned."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from weft.backend.errors import UnknownNameError, UserError
from weft.backend.sparsity.initializers import INITIALIZERS
from weft.models import resnet
from weft.sparsity import Sparsity, apply, configure, kept_count

EXACT = ["random", "topk", "checkerboard"]


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 5))


@given(st.integers(0, 5000), st.integers(0, 99))
def test_kept_count_truncates_the_exact_product(elements: int, percent: int) -> None:
    assert kept_count(elements, percent / 100) == (100 - percent) * elements // 100


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.75, 0.9, 0.99])
@pytest.mark.parametrize("shape", [(8, 16), (7, 13), (3, 5, 3, 3), (1, 1)], ids=str)
def test_masks_keep_the_exact_count(method: str, sparsity: float, shape: tuple[int, ...]) -> None:
    mask = INITIALIZERS[method](
        "layer.weight", torch.randn(shape), kept_count(math.prod(shape), sparsity), 0
    )
    assert mask.dtype == torch.bool
    assert mask.shape == shape
    assert int(mask.sum()) == kept_count(math.prod(shape), sparsity)


def test_default_choice_leaves_norms_biases_and_embeddings_dense() -> None:
    model = resnet(20)
    masks = configure(0.75).masks(model)
    assert set(masks) == {n for n, p in model.named_parameters() if p.dim() > 1}
    transformer = nn.ModuleDict({"embedding": nn.Embedding(9, 4), "lm_head": nn.Linear(4, 9)})
    transformer["mixer"] = nn.Linear(4, 4)
    assert set(configure(0.5).masks(transformer)) == {"mixer.weight"}


def test_random_positions_depend_on_seed_and_name_but_not_on_order() -> None:
    model = small_net()
    both = configure({"sparsity": 0.5, "seed": 3}).masks(model)
    alone = configure({"sparsity": 0.5, "seed": 3, "param_filter": "2.*ght"}).masks(model)
    other = configure({"sparsity": 0.5, "seed": 4}).masks(model)
    assert torch.equal(both["2.weight"], alone["2.weight"])
    assert not torch.equal(both["2.weight"], other["2.weight"])
    square = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    first, second = configure(0.5).masks(square).values()
    assert not torch.equal(first, second)


def test_random_positions_are_spread_evenly() -> None:
    mask = INITIALIZERS["random"]("w", torch.empty(400, 400), 40_000, 0)
    assert (mask.float().mean(0) - 0.25).abs().max() < 5 * math.sqrt(0.25 * 0.75 / 400)


def test_topk_keeps_the_largest_magnitudes() -> None:
    weight = torch.randn(10, 10)
    mask = INITIALIZERS["topk"]("w", weight, 30, 0)
    assert weight[mask].abs().min() >= weight[~mask].abs().max()


def test_from_zeros_prunes_zero_and_nan() -> None:
    weight = torch.tensor([[0.0, 1.0], [float("nan"), -2.0]])
    mask = INITIALIZERS["from_zeros"]("w", weight, 2, 0)
    assert mask.tolist() == [[False, True], [False, True]]


@pytest.mark.parametrize("sparsity", [0.5, 0.75])
def test_checkerboard_is_even_in_rows_and_columns(sparsity: float) -> None:
    mask = INITIALIZERS["checkerboard"]("w", torch.empty(8, 16), round(128 * (1 - sparsity)), 0)
    assert set(mask.sum(0).tolist()) == {round(8 * (1 - sparsity))}
    assert set(mask.sum(1).tolist()) == {round(16 * (1 - sparsity))}


def test_shapes_on_the_meta_device_suffice() -> None:
    real, meta = configure(0.9).masks(small_net()), configure(0.9).masks(small_net().to("meta"))
    assert all(torch.equal(real[name], meta[name]) for name in real)
    with pytest.raises(UserError, match="meta"):
        configure({"sparsity": 0.5, "init_method": "topk"}).masks(small_net().to("meta"))


OPTIMIZERS: list[Callable[..., torch.optim.Optimizer]] = [
    lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
    lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1),
    lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.9),
]


@pytest.mark.parametrize("build", OPTIMIZERS, ids=["sgd", "adamw", "rmsprop"])
@pytest.mark.parametrize("hand_over", [True, False])
def test_pruned_weights_stay_exactly_zero(
    build: Callable[..., torch.optim.Optimizer], hand_over: bool
) -> None:
    model = small_net()
    masks = configure(0.75).masks(model)
    optimizer = build(model.parameters())
    apply(model, masks, optimizer if hand_over else None)
    before = model[0].weight.clone()
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.randn(4, 12)).square().sum().backward()
        optimizer.step()
    for name, mask in masks.items():
        assert (model.get_parameter(name)[~mask] == 0).all()
    kept = masks["0.weight"]
    assert (model[0].weight[kept] != before[kept]).any()


def test_nan_in_pruned_weights_and_gradients_does_no_harm() -> None:
    model = small_net()
    masks = configure(0.5).masks(model)
    weight, mask = model[0].weight, masks["0.weight"]
    with torch.no_grad():
        weight[~mask] = float("nan")
    apply(model, masks)
    assert (weight[~mask] == 0).all()
    poison = torch.where(mask, 1.0, float("nan"))
    weight.backward(poison)
    assert weight.grad is not None
    assert torch.equal(weight.grad, mask.float())


def test_optimizer_state_of_pruned_weights_is_pruned() -> None:
    model = small_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(4, 12)).sum().backward()
    optimizer.step()
    masks = configure(0.5).masks(model)
    apply(model, masks, optimizer)
    buffer = optimizer.state[model[0].weight]["momentum_buffer"]
    assert (buffer[~masks["0.weight"]] == 0).all()
    assert (buffer[masks["0.weight"]] != 0).any()


def test_removed_masks_let_weights_train_again() -> None:
    model = small_net()
    masks = configure(0.5).masks(model)
    applied = apply(model, masks)
    applied.remove()
    model(torch.randn(4, 12)).sum().backward()
    assert model[0].weight.grad is not None
    assert (model[0].weight.grad[~masks["0.weight"]] != 0).any()


def test_groups_take_their_own_parameters() -> None:
    groups = [
        {"sparsity": 0.5, "param_filter": "0.*weight"},
        {"sparsity": 0.9, "param_filter": ["2.weight"], "init_method": "topk"},
    ]
    sparsity = configure(groups)
    assert isinstance(sparsity, Sparsity)
    masks = sparsity.masks(small_net())
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {
        "0.weight": 96,
        "2.weight": 8,
    }


def test_the_first_group_that_selects_a_parameter_takes_it() -> None:
    special = {"sparsity": 0.9, "param_filter": "2.weight"}
    masks = configure([special, {"sparsity": 0.5}]).masks(small_net())
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {
        "0.weight": 96,
        "2.weight": 8,
    }
    with pytest.raises(UserError, match="before this one"):
        configure([{"sparsity": 0.5}, special]).masks(small_net())
    with pytest.raises(UserError, match="before this one"):
        configure([{"sparsity": 0.5}, {"sparsity": 0.6}]).masks(small_net())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"sparsity": 0.5, "drop": 0.1}, "drop"),
        ({"sparsity": 1.0}, "less than 1"),
        ({"sparsity": -0.1}, "greater than or equal to 0"),
        ({"algorithm": "static"}, "a value"),
        ({"sparsity": 0.5, "init_method": "topp"}, "init_method"),
        ([0.5], "mapping"),
        (True, "number"),
    ],
    ids=str,
)
def test_bad_configurations_are_user_errors(config: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        configure(config)


def test_unknown_algorithm_and_unmatched_filter_are_user_errors() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'static'"):
        configure({"algorithm": "statik", "sparsity": 0.5})
    with pytest.raises(UserError, match="selects none"):
        configure({"sparsity": 0.5, "param_filter": "nothing*"}).masks(small_net())
    with pytest.raises(UserError, match="no such parameter"):
        apply(small_net(), {"9.weight": torch.ones(2, 2, dtype=torch.bool)})
