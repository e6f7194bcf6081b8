"""Checkpoints of sparse training: what is refused, and what to do about it."""

from __future__ import annotations

import io

import pytest
import torch
from helpers.sparsified import EVERY, adam, batch, small_net, train_step
from torch import nn
from weft.backend.errors import UserError
from weft.sparsity import Sparsifier


@pytest.mark.parametrize("name", EVERY)
def test_resume_is_the_same_to_the_bit(name: str) -> None:
    def fresh() -> tuple[nn.Module, torch.optim.Optimizer, Sparsifier]:
        model = small_net()
        optimizer = adam(model)
        return model, optimizer, Sparsifier(model, optimizer, EVERY[name])

    model, optimizer, sparsifier = fresh()
    for index in range(20):
        train_step(model, optimizer, index)
    file = io.BytesIO()
    parts = (model, optimizer, sparsifier)
    torch.save([part.state_dict() for part in parts], file)
    for index in range(20, 40):
        train_step(model, optimizer, index)
    file.seek(0)
    again = fresh()
    for part, state in zip(again, torch.load(file, weights_only=True), strict=True):
        part.load_state_dict(state)
    for index in range(20, 40):
        train_step(again[0], again[1], index)
    assert again[2].step == sparsifier.step == 40
    for key, mask in sparsifier.masks.items():
        assert torch.equal(mask, again[2].masks[key])
    for left, right in zip(model.parameters(), again[0].parameters(), strict=True):
        assert torch.equal(left, right)


def test_a_checkpoint_without_masks_is_refused() -> None:
    model = small_net()
    optimizer = adam(model)
    sparsifier = Sparsifier(model, optimizer, 0.5)
    with pytest.raises(UserError, match="no masks"):
        sparsifier.load_state_dict({"step": 3})
    dense = {key: torch.ones_like(value) for key, value in model.state_dict().items()}
    model.load_state_dict(dense)
    with pytest.raises(UserError, match="draw_masks"):
        model(batch(0))
    with pytest.raises(UserError, match="draw_masks"):
        optimizer.step()
    sparsifier.draw_masks()
    assert (model[0].weight == sparsifier.masks["0.weight"]).all()


def test_a_checkpoint_is_taken_in_either_order() -> None:
    source = small_net()
    donor = Sparsifier(source, adam(source), EVERY["set"] | {"seed": 5})
    for sparsity_first in (True, False):
        model = small_net()
        sparsifier = Sparsifier(model, adam(model), EVERY["set"])
        loads = [
            lambda s=sparsifier: s.load_state_dict(donor.state_dict()),
            lambda m=model: m.load_state_dict(source.state_dict()),
        ]
        for load in loads if sparsity_first else reversed(loads):
            load()
        assert torch.equal(model(batch(0)), source(batch(0)))


def test_masks_of_another_model_are_refused_by_name() -> None:
    model = small_net()
    sparsifier = Sparsifier(model, adam(model), 0.5)
    state = sparsifier.state_dict()
    state["masks"]["0.weight"] = torch.ones(2, 2, dtype=torch.bool)
    with pytest.raises(UserError, match=r"0\.weight \(2, 2\)"):
        sparsifier.load_state_dict(state)
    del state["masks"]["0.weight"]
    with pytest.raises(UserError, match="no mask"):
        sparsifier.load_state_dict(state)
