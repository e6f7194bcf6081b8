"""Sparse training of a torch model with a torch optimizer."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from helpers.sparsified import EVERY, adam, batch, small_net, train_step
from torch import Tensor, nn
from weft.sparsity import Sparsifier, kept_count


@pytest.mark.parametrize("name", EVERY)
def test_counts_are_exact_and_pruned_weights_are_zero_over_a_thousand_steps(name: str) -> None:
    model = small_net()
    optimizer = adam(model)
    sparsifier = Sparsifier(model, optimizer, EVERY[name])
    first = {key: mask.clone() for key, mask in sparsifier.masks.items()}
    for index in range(1000):
        train_step(model, optimizer, index)
        for key, rule in sparsifier.rules.items():
            mask, step = sparsifier.masks[key], sparsifier.step
            assert int(mask.sum()) == kept_count(mask.numel(), rule.group.sparsity_at(step))
            assert (model.get_parameter(key)[~mask] == 0).all()
    assert sparsifier.step == 1000
    assert all(level.kept == level.requested for level in sparsifier.levels())
    moved = any((first[key] != mask).any() for key, mask in sparsifier.masks.items())
    assert moved == (name != "static")


def test_rigl_grows_by_the_dense_gradient_of_all_micro_batches() -> None:
    model = small_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    config = {"algorithm": "rigl", "sparsity": 0.8, "update": {"freq": 3}}
    sparsifier = Sparsifier(model, optimizer, config)
    for index in range(2):
        train_step(model, optimizer, index)
    plain = copy.deepcopy(small_net())
    plain.load_state_dict(model.state_dict())
    optimizer.zero_grad()
    for index in (7, 8):
        model(batch(index)).square().sum().backward()
        plain(batch(index)).square().sum().backward()
    before = sparsifier.masks["0.weight"].numpy().copy()
    optimizer.step()
    gradient = plain.get_parameter("0.weight").grad
    assert gradient is not None
    expected = sparsifier.rules["0.weight"].update(
        before, model[0].weight.detach().numpy(), gradient.numpy(), 3
    )
    # The weights after the update differ from those before only where dropped: same survivors.
    grown = sparsifier.masks["0.weight"].numpy() & ~before
    assert grown.any()
    assert np.array_equal(grown, expected & ~before)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad_clears_the_dense_gradients(set_to_none: bool) -> None:
    def masks(disturbed: bool) -> Tensor:
        model = small_net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        sparsifier = Sparsifier(model, optimizer, EVERY["rigl"])
        if disturbed:
            (100 * model(batch(99))).square().sum().backward()
        optimizer.zero_grad(set_to_none=set_to_none)
        model(batch(1)).square().sum().backward()
        optimizer.step()
        return sparsifier.masks["0.weight"]

    assert torch.equal(masks(disturbed=True), masks(disturbed=False))


def test_nan_in_a_pruned_position_does_no_harm() -> None:
    def trained(poison: bool) -> nn.Module:
        model = small_net()
        optimizer = adam(model)
        sparsifier = Sparsifier(model, optimizer, EVERY["rigl"] | {"update": {"freq": 2}})
        mask = sparsifier.masks["0.weight"].clone()
        if poison:
            with torch.no_grad():
                model[0].weight[~mask] = float("nan")
        optimizer.zero_grad()
        model(batch(0)).square().sum().backward()
        if poison:
            spoiled = torch.where(mask, 0.0, float("nan"))
            model[0].weight.backward(spoiled)
        optimizer.step()
        assert sparsifier.step == 1
        return model

    for poisoned, clean in zip(
        trained(True).parameters(), trained(False).parameters(), strict=True
    ):
        assert torch.equal(poisoned, clean)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_steps_with_gradients_that_are_not_finite_change_no_mask_and_do_not_count(
    value: float,
) -> None:
    model = small_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    sparsifier = Sparsifier(model, optimizer, EVERY["set"])
    train_step(model, optimizer, 0)
    before = sparsifier.masks["0.weight"].clone()
    optimizer.zero_grad()
    model(batch(1)).square().sum().backward()
    assert model[2].bias.grad is not None
    model[2].bias.grad[0] = value
    optimizer.step()
    assert sparsifier.step == 1
    assert torch.equal(sparsifier.masks["0.weight"], before)


def test_optimizer_state_is_pruned_and_revived_weights_start_at_zero() -> None:
    model = small_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    sparsifier = Sparsifier(model, optimizer, EVERY["set"] | {"update": {"freq": 5}})
    mask = sparsifier.masks["0.weight"]
    for index in range(5):
        mask = sparsifier.masks["0.weight"].clone()
        train_step(model, optimizer, index)
    new = sparsifier.masks["0.weight"]
    revived = new & ~mask
    assert revived.any()
    assert (model[0].weight[revived] == 0).all()
    assert (optimizer.state[model[0].weight]["momentum_buffer"][revived] == 0).all()
    train_step(model, optimizer, 5)
    assert (model[0].weight[revived] != 0).any()
    assert (optimizer.state[model[0].weight]["momentum_buffer"][~new] == 0).all()


def test_two_forwards_may_precede_a_backward() -> None:
    model = small_net()
    Sparsifier(model, adam(model), 0.5)
    (model(batch(0)).sum() + model(batch(1)).sum()).backward()
    assert model[0].weight.grad is not None


def test_weights_are_masked_before_every_forward() -> None:
    """Whatever wrote to them meanwhile."""
    model = small_net()
    sparsifier = Sparsifier(model, adam(model), 0.5)
    expected = model(batch(0))
    with torch.no_grad():
        for name, mask in sparsifier.masks.items():
            model.get_parameter(name)[~mask] = 7.0
    assert torch.equal(model(batch(0)), expected)
    assert (model[0].weight[~sparsifier.masks["0.weight"]] == 0).all()


def test_nan_stands_for_pruned_in_weights_that_are_loaded() -> None:
    """As in checkpoints of the Cerebras machines."""
    model = small_net()
    sparsifier = Sparsifier(model, adam(model), 0.5)
    expected, state = model(batch(0)), copy.deepcopy(model.state_dict())
    for name, mask in sparsifier.masks.items():
        state[name][~mask] = torch.nan
    model.load_state_dict(state)
    assert torch.equal(model(batch(0)), expected)
    fresh = small_net()
    fresh.load_state_dict(state)
    again = Sparsifier(fresh, adam(fresh), {"sparsity": 0.5, "init_method": "from_zeros"})
    assert all(torch.equal(again.masks[name], mask) for name, mask in sparsifier.masks.items())
    assert torch.equal(fresh(batch(0)), expected)


@pytest.mark.parametrize("name", ["gmp", "set", "rigl"])
def test_a_parameter_without_a_gradient_keeps_its_mask(name: str) -> None:
    """One that took no part in the step was not updated either."""
    model = small_net()
    optimizer = adam(model)
    sparsifier = Sparsifier(model, optimizer, EVERY[name])
    before = {key: mask.clone() for key, mask in sparsifier.masks.items()}
    for index in range(5):
        optimizer.zero_grad()
        nn.functional.linear(batch(index, 4).repeat(1, 2)[:, :10], model[2].weight).sum().backward()
        optimizer.step()
    assert torch.equal(sparsifier.masks["0.weight"], before["0.weight"])
    assert not torch.equal(sparsifier.masks["2.weight"], before["2.weight"])


def test_sparse_training_then_dense_fine_tuning_starts_revived_weights_at_zero() -> None:
    """SPDF: phase one static and sparse, phase two dense."""
    model = small_net()
    optimizer = adam(model)
    sparsifier = Sparsifier(model, optimizer, 0.75)
    for index in range(5):
        train_step(model, optimizer, index)
    pruned = ~sparsifier.masks["0.weight"]
    sparsifier.remove()
    assert (model[0].weight[pruned] == 0).all()
    assert "zero_grad" not in vars(optimizer)
    train_step(model, optimizer, 5)
    assert (model[0].weight[pruned] != 0).any()


def test_groups_have_their_own_algorithms() -> None:
    model = small_net()
    optimizer = adam(model)
    groups = [
        {"algorithm": "rigl", "sparsity": 0.5, "param_filter": "0.weight"},
        {"sparsity": 0.9, "param_filter": "2.weight"},
    ]
    sparsifier = Sparsifier(model, optimizer, groups)
    static = sparsifier.masks["2.weight"].clone()
    for index in range(3):
        train_step(model, optimizer, index)
    assert torch.equal(sparsifier.masks["2.weight"], static)
    assert [(level.name, level.kept) for level in sparsifier.levels()] == [
        ("0.weight", 30),
        ("2.weight", 3),
    ]


def test_half_precision_parameters_train() -> None:
    model = small_net().to(torch.bfloat16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    sparsifier = Sparsifier(model, optimizer, EVERY["rigl"])
    for index in range(3):
        optimizer.zero_grad()
        model(batch(index).bfloat16()).square().sum().backward()
        optimizer.step()
    assert sparsifier.step == 3
    assert all(level.kept == level.requested for level in sparsifier.levels())


@pytest.mark.parametrize(
    "kind",
    ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "RMSprop", "Adadelta", "Rprop"],
)
def test_two_lines_hold_under_every_torch_optimizer(kind: str) -> None:
    model = small_net()
    optimizer = getattr(torch.optim, kind)(model.parameters(), lr=0.01)
    sparsifier = Sparsifier(model, optimizer, EVERY["rigl"])
    before = model[0].weight.detach().clone()
    for index in range(6):
        train_step(model, optimizer, index)
        for name, mask in sparsifier.masks.items():
            assert (model.get_parameter(name)[~mask] == 0).all()
            assert int(mask.sum()) == kept_count(mask.numel(), 0.6)
    assert not torch.equal(model[0].weight, before)
