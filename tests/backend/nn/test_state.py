"""Streaming statistics keep their precision, and know who runs a forward."""

from __future__ import annotations

import torch
from torch.utils.checkpoint import checkpoint
from weft.backend.nn.state import (
    StreamingState,
    as_dtype,
    inside_backward,
    is_replayed,
    per_channel,
    replayed,
)


class Norm(StreamingState):
    state_names = ("mean", "var")

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))
        self.add_state(3)


def test_casting_moves_weights_and_leaves_statistics_at_float32() -> None:
    module = Norm()
    module.mean.fill_(1 + 2**-20)
    module.half()
    assert module.weight.dtype == torch.float16
    assert module.mean.dtype == torch.float32
    assert (module.mean == 1 + 2**-20).all()
    assert module.double().mean.dtype == torch.float64


def test_state_starts_and_is_reset_to_mean_zero_and_variance_one() -> None:
    module = Norm()
    module.mean.fill_(3), module.var.fill_(3)
    module.reset_state()
    assert module.mean.tolist() == [0, 0, 0]
    assert module.var.tolist() == [1, 1, 1]


def test_a_value_per_channel_broadcasts_over_positions() -> None:
    assert per_channel(torch.zeros(3), torch.zeros(2, 3, 4, 5)).shape == (3, 1, 1)
    x = torch.zeros(2)
    assert as_dtype(x, torch.float32) is x
    assert as_dtype(x, torch.float64).dtype == torch.float64


def test_a_recomputed_forward_runs_inside_of_a_backward() -> None:
    seen = []

    def function(x: torch.Tensor) -> torch.Tensor:
        seen.append(inside_backward())
        return (x * 2).sin()

    checkpoint(function, torch.ones(1, requires_grad=True), use_reentrant=False).backward()
    assert seen == [False, True]


def test_replays_nest_and_end_also_by_an_error() -> None:
    try:
        with replayed(), replayed():
            assert is_replayed()
            raise ValueError
    except ValueError:
        pass
    assert not is_replayed()
