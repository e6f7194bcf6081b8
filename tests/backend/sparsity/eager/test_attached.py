"""Copies and pickles of sparse models."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from weft.backend.errors import UserError
from weft.sparsity import Sparsifier, apply, configure, masks_of, release

SET = {"algorithm": "set", "sparsity": 0.5}


def _model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Sequential(nn.Linear(6, 8), nn.Tanh()), nn.Linear(8, 3))


def _sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)


def _train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 5) -> None:
    for index in range(steps):
        optimizer.zero_grad()
        x = torch.randn(4, 6, generator=torch.Generator().manual_seed(index))
        model(x).square().sum().backward()
        optimizer.step()


def _loaded(model: nn.Module) -> Any:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES: dict[str, Callable[[nn.Module], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "saved": _loaded,
    "copy of a copy": lambda model: copy.deepcopy(_loaded(model)),
}


@pytest.mark.parametrize("made", COPIES)
@pytest.mark.parametrize("by", ["sparsifier", "apply"])
def test_a_copy_keeps_its_zeros_when_it_is_trained(made: str, by: str) -> None:
    model = _model()
    if by == "apply":
        apply(model, configure(0.5).masks(model))
    else:
        Sparsifier(model, _sgd(model), SET)
    masks = {name: mask.clone() for name, mask in masks_of(model).items()}
    assert list(masks) == ["0.0.weight", "1.weight"]
    other = COPIES[made](model)
    original = copy.deepcopy(model.state_dict())
    _train(other, _sgd(other))
    for name, mask in masks.items():
        weight = other.get_parameter(name)
        assert (weight[~mask] == 0).all()
        assert not torch.equal(weight, original[name])
        assert torch.equal(masks_of(other)[name], mask)
    assert all(torch.equal(value, original[key]) for key, value in model.state_dict().items())


def test_a_copy_of_model_and_optimizer_after_an_update_keeps_its_zeros() -> None:
    """Momentum of weights just pruned is pruned with them."""
    model = _model()
    optimizer = _sgd(model)
    Sparsifier(model, optimizer, SET)
    _train(model, optimizer, 3)
    other, own = copy.deepcopy((model, optimizer))
    _train(other, own)
    for name, mask in masks_of(other).items():
        assert (other.get_parameter(name)[~mask] == 0).all()


def test_a_part_of_a_model_is_copied_with_its_masks() -> None:
    model = _model()
    sparsifier = Sparsifier(model, _sgd(model), SET)
    part = copy.deepcopy(model[0])
    assert torch.equal(masks_of(part)["0.weight"], sparsifier.masks["0.0.weight"])
    _train(part, _sgd(part))
    assert (part[0].weight[~sparsifier.masks["0.0.weight"]] == 0).all()


def test_a_compiled_copy_keeps_its_zeros() -> None:
    model = _model()
    sparsifier = Sparsifier(model, _sgd(model), SET)
    other = copy.deepcopy(model)
    _train(torch.compile(other, backend="eager"), _sgd(other))
    assert (other[1].weight[~sparsifier.masks["1.weight"]] == 0).all()


def test_hooks_of_a_loaded_model_do_not_displace_its_masks() -> None:
    """Torch numbers hooks by process; those of a pickle come with their numbers."""
    model = _model()
    Sparsifier(model, _sgd(model), SET)
    other = _loaded(model)
    numbers = other[1]._forward_pre_hooks.keys()
    for _ in range(30):
        other[1].register_forward_pre_hook(lambda *_: None)
    assert len(other[1]._forward_pre_hooks) == 31
    assert max(numbers) >= 30


def test_a_copy_follows_its_own_masks_not_those_that_the_original_goes_on_to() -> None:
    model = _model()
    optimizer = _sgd(model)
    sparsifier = Sparsifier(model, optimizer, SET)
    best, before = copy.deepcopy(model), sparsifier.masks["1.weight"].clone()
    expected = best(torch.ones(1, 6))
    _train(model, optimizer)
    assert not torch.equal(sparsifier.masks["1.weight"], before)
    assert torch.equal(best(torch.ones(1, 6)), expected)
    assert torch.equal(masks_of(best)["1.weight"], before)


def _average() -> tuple[nn.Module, AveragedModel]:
    model = _model()
    optimizer = _sgd(model)
    Sparsifier(model, optimizer, SET)
    average = AveragedModel(model)
    for _ in range(3):
        _train(model, optimizer, 1)
        average.update_parameters(model)
    return model, average


def test_averages_of_weights_whose_masks_moved_give_the_masks_up_and_say_so() -> None:
    _, average = _average()
    dense = {name: value.clone() for name, value in average.named_parameters()}
    with pytest.warns(UserWarning, match=r"given up"):
        average(torch.ones(1, 6))
    assert all(torch.equal(value, dense[name]) for name, value in average.named_parameters())
    average(torch.ones(1, 6))  # said once
    assert masks_of(average) == {}


def test_release_lets_a_copy_train_dense_and_leaves_the_original_alone() -> None:
    model = _model()
    sparsifier = Sparsifier(model, _sgd(model), 0.5)
    other = copy.deepcopy(model)
    release(other)
    release(model)
    assert masks_of(other) == {}
    assert masks_of(model).keys() == sparsifier.masks.keys()
    _train(other, _sgd(other))
    assert (other[1].weight[~sparsifier.masks["1.weight"]] != 0).any()


def test_a_sparsifier_for_a_copy_takes_the_place_of_its_masks() -> None:
    model = _model()
    Sparsifier(model, _sgd(model), 0.5)
    other = copy.deepcopy(model)
    own = Sparsifier(other, _sgd(other), {"sparsity": 0.75, "seed": 3})
    assert torch.equal(masks_of(other)["1.weight"], own.masks["1.weight"])
    assert int(masks_of(model)["1.weight"].sum()) == 12


def test_two_masks_on_one_parameter_are_refused() -> None:
    model = _model()
    optimizer = _sgd(model)
    first = Sparsifier(model, optimizer, {"sparsity": 0.5, "param_filter": "1.weight"})
    hooks = len(model[0][0]._forward_pre_hooks)
    with pytest.raises(UserError, match="another Sparsifier"):
        Sparsifier(model, optimizer, 0.5)
    assert len(model[0][0]._forward_pre_hooks) == hooks
    Sparsifier(model, optimizer, {"sparsity": 0.5, "param_filter": "0.0.weight"})
    assert list(masks_of(model)) == ["0.0.weight", "1.weight"]
    first.remove()
    assert list(masks_of(model)) == ["0.0.weight"]


def test_weights_loaded_without_masks_have_no_masks_to_give() -> None:
    model = _model()
    Sparsifier(model, _sgd(model), 0.5)
    model.load_state_dict({key: torch.ones_like(v) for key, v in model.state_dict().items()})
    with pytest.raises(UserError, match="no masks loaded since"):
        masks_of(model)


def test_a_sparsifier_itself_is_not_copied() -> None:
    model = _model()
    sparsifier = Sparsifier(model, _sgd(model), 0.5)
    for make in (copy.deepcopy, pickle.dumps):
        with pytest.raises(UserError, match="of the model and the optimizer only"):
            make(sparsifier)


def test_replaced_parameters_are_refused() -> None:
    model = _model()
    Sparsifier(model, _sgd(model), 0.5)
    state: dict[str, Tensor] = copy.deepcopy(model.state_dict())
    model.load_state_dict(state, assign=True)
    with pytest.raises(UserError, match="the parameter that the Sparsifier was made for"):
        model(torch.ones(1, 6))
