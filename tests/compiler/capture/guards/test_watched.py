"""What a forward does while it is traced that the trace would lose or get wrong."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from helpers.against_eager import SAMPLE, assert_like_eager
from helpers.guarded import net, refused
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode


class Doubling(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


class Rounded(torch.autograd.graph.saved_tensors_hooks):
    def __init__(self):
        super().__init__(torch.round, lambda value: value)


def _in(context, result):
    with context:
        return result()


def test_hooks_on_saved_tensors_and_modes_of_dispatch():
    message = refused(net(lambda model, h: _in(Rounded(), lambda: torch.tanh(h) * h)))
    assert "Rounded" in message
    message = refused(net(lambda model, h: _in(Doubling(), lambda: torch.tanh(h))))
    assert "Doubling" in message


def test_activations_saved_on_the_cpu_are_no_matter():
    saved = torch.autograd.graph.save_on_cpu
    assert_like_eager(net(lambda model, h: _in(saved(), lambda: torch.tanh(h) * h)))


@pytest.mark.parametrize(
    "draw", [random.random, lambda: float(np.random.rand()), lambda: random.choice([1.0, 2.0])]
)
def test_numbers_that_python_draws(draw):
    def drawn(model, h):
        return h * draw()

    before = random.getstate(), np.random.get_state()[2]
    message = refused(net(drawn))
    assert "the plan would keep the one of this trace" in message
    assert "test_watched.py" in message
    assert (random.getstate(), np.random.get_state()[2]) == before


def test_a_derivative_inside_of_the_forward():
    class Penalized(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))

        def forward(self, x):
            x = x.detach().requires_grad_()
            scores = self.inner(x)
            (slope,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
            return scores + slope.square().sum()

    assert "in forward" in refused(Penalized())


def test_requires_grad_that_forward_switches():
    def frozen(model, h):
        model.second.weight.requires_grad_(False)
        return h

    model = net(frozen)
    assert "requires_grad = False" in refused(model)
    assert model.second.weight.requires_grad


def test_inference_mode_in_forward_stops_gradients():
    def part(model, h):
        with torch.inference_mode():
            squashed = torch.tanh(h)
        return squashed.clone() * h

    assert_like_eager(net(part))


def test_a_tensor_that_was_computed_from_a_weight_before_the_forward():
    def keep(model):
        model.kept = model.second.weight.t()

    message = refused(net(lambda model, h: h * model.kept.sum(), keep))
    assert "computed from parameters before" in message
    assert "test_watched.py" in message


def test_a_result_that_an_earlier_call_left():
    model = net(lambda model, h: setattr(model, "kept", h) or h)
    model(SAMPLE)
    assert_like_eager(model)
