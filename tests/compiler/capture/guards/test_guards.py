"""Programs that a captured graph would get wrong without a word are refused by name, or right."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.against_eager import LABEL, SAMPLE, Between, assert_like_eager
from helpers.guarded import net
from torch.utils.checkpoint import checkpoint
from weft.compiler.capture.capture import capture

HERE = r"test_guards.py:\d+"


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_have_the_gradients_of_what_they_hold(reentrant):
    def inner(model, h):
        return torch.tanh(h) * model.second.weight.sum()

    def checkpointed(model, h):
        return checkpoint(lambda value: inner(model, value), h, use_reentrant=reentrant)

    assert_like_eager(net(checkpointed))


def test_a_reentrant_checkpoint_of_what_needs_no_gradient_trains_nothing():
    class First(Between):
        def forward(self, x):
            return self.second(checkpoint(self.first, x, use_reentrant=True))

    with pytest.warns(UserWarning, match="None of the inputs"):
        assert_like_eager(First())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_model_is_captured_for_training_whatever_the_callers_mode(mode):
    model = Between()
    with mode():
        graph = capture(model, (SAMPLE, LABEL), F.cross_entropy)
    assert not any("detach" in str(node.target) for node in graph.module.graph.nodes)


def test_the_model_is_afterwards_as_it_was():
    class Keeping(Between):
        def __init__(self):
            super().__init__()
            self.register_buffer("cache", None)
            self.history, self.calls, self.last = [], 0, None

        def between(self, h):
            if self.cache is None:
                self.cache = torch.arange(6.0)
            self.calls += 1
            self.last = h
            self.history.append(h)
            return h * self.cache

    model = Keeping()
    model.first.weight.grad = torch.ones(6, 4)
    drawn = torch.random.get_rng_state()
    capture(model, (SAMPLE, LABEL), F.cross_entropy)
    assert (model.cache, model.history, model.calls, model.last) == (None, [], 0, None)
    assert torch.equal(model.first.weight.grad, torch.ones(6, 4))
    assert torch.equal(torch.random.get_rng_state(), drawn)
