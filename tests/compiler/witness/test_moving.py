"""What one call changes of Python's values, told from what stays."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from weft.compiler.capture.sample import OneSample
from weft.compiler.witness.moving import moving, state_of, states


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "b"),
        ((1, 2), (1, 3)),
        (True, False),
        (np.zeros(2), np.ones(2)),
        ([1], [1, 1]),
        ({"a": 1}, {"b": 1}),
        ({1, 2}, {1, 3}),
        (torch.zeros(2), torch.zeros(3)),
        (torch.sin, torch.cos),
    ],
)
def test_what_code_may_see_is_another_state(one, other):
    assert state_of(one) != state_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [(torch.zeros(2), torch.ones(2)), ({"a": 1}, {"a": 2}), (1, 2), (object(), object())],
)
def test_what_lies_in_other_places_or_is_checked_by_results_is_none(one, other):
    assert state_of(one) == state_of(other)


def test_places_are_sorted_by_how_their_readers_are_found():
    model = nn.Linear(2, 2)
    model.count, model.log, model.mode, model.source = 0, [], "a", itertools.count()
    sample = OneSample(model, None)
    before = states(sample)
    model.count, model.mode = 3, "b"
    model.log.append(None)
    found = moving(before, states(sample))
    assert [(one.place.name, one.now, one.step) for one in found.numbers] == [("model.count", 3, 3)]
    assert [place.name for place in found.containers] == ["model.log"]
    assert [place.name for place in found.iterators] == ["model.source"]
    assert found.others == ("model.mode",)
