"""One evaluation of a module again, as it was: same draws, same statistics, same autocast."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from helpers.reversible_cases import CASES, image
from helpers.reversible_training import train
from weft.backend.nn.online_norm import OnlineNorm
from weft.backend.nn.reversible import ReversibleSequence


@pytest.mark.parametrize("name", CASES)
def test_gradients_draws_and_all_statistics_equal_those_of_kept_activations(name: str) -> None:
    torch.manual_seed(0)
    make, shapes = CASES[name]
    reversible = ReversibleSequence(*make()).double()
    for module in reversible.modules():
        if isinstance(module, OnlineNorm):  # its state stays float32 or wider: make it double here
            for state in module.state_names:
                setattr(module, state, getattr(module, state).double())
    kept = deepcopy(reversible)
    kept.keeps = True
    inputs = [image(*shape) for shape in shapes]
    got, expected = train(reversible, inputs), train(kept, inputs)
    assert len(got) == len(expected)
    for mine, its in zip(got, expected, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-9, atol=1e-9)
