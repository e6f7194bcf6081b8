"""Hooks on the gradients of parameters become calls in the captured graph."""

from __future__ import annotations

import pytest
import torch
from helpers.against_eager import Between, assert_like_eager
from torch import nn
from weft.backend.errors import UnsupportedError
from weft.compiler.capture.capture import capture


def test_a_hook_that_freezes_half_of_a_weight():
    model, kept = Between(), torch.ones(6, 4)
    kept[:3] = 0
    model.first.weight.register_hook(lambda gradient: gradient * kept)
    assert_like_eager(model)


def test_hooks_of_a_parameter_run_in_order_and_may_only_look_on():
    model, seen = Between(), []
    model.first.weight.register_hook(lambda gradient: gradient + 1)
    model.first.weight.register_hook(lambda gradient: gradient * model.first.bias[:, None])
    model.second.bias.register_hook(lambda gradient: seen.append(gradient.shape))
    assert_like_eager(model)
    assert torch.Size([3]) in seen


def test_a_hook_that_reads_a_number_is_refused_with_the_parameter():
    model = Between()
    model.second.weight.register_hook(lambda gradient: gradient / gradient.norm().item())
    with pytest.raises(UnsupportedError, match=r"hook on parameter second\.weight"):
        capture(model, (torch.zeros(1, 4), torch.tensor([1])), nn.functional.cross_entropy)
