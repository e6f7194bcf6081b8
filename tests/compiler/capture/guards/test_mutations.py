"""What a traced forward writes to in place, before the trace is made functional."""

from __future__ import annotations

import pytest
import torch
from helpers.against_eager import Between, assert_like_eager
from helpers.guarded import net, refused
from torch import nn


def _without(change):
    with torch.no_grad():
        change()


WRITES = {
    "clamped": lambda m, h: _without(lambda: m.second.weight.clamp_(-0.1, 0.1)) or h,
    "copied": lambda m, h: _without(lambda: m.second.weight.copy_(m.second.weight.sign())) or h,
    "by data": lambda m, h: m.second.weight.data.clamp_(-0.1, 0.1) is None or h,
    "one row": lambda m, h: _without(lambda: m.second.weight[0].zero_()) or h,
    "a view of its data": lambda m, h: m.second.weight.data.view(-1)[2:4].zero_() is None or h,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_parameter_that_forward_changes(write):
    message = refused(net(write))
    assert "parameter second.weight changed in forward" in message


def test_a_parameter_that_forward_replaces():
    def replaced(model, h):
        model.second.weight = nn.Parameter(model.second.weight.detach().sign())
        return h

    assert "parameter second.weight" in refused(net(replaced))


def test_data_that_forward_assigns():
    def assigned(model, h):
        model.second.weight.data = model.second.weight.data.sign()
        return h

    assert ".data" in refused(net(assigned))


def changed_without(h):
    h = h * 1
    with torch.no_grad():
        h.mul_(2)
    return h


def changed_by_data(h):
    h = h * 1
    h.data.mul_(2)
    return h


def changed_by_alias(h):
    h = h * 1
    h.detach()[:, :2].zero_()
    return h


@pytest.mark.parametrize("change", [changed_without, changed_by_data, changed_by_alias])
def test_a_change_in_place_that_autograd_does_not_see(change):
    assert "autograd sees" in refused(net(lambda model, h: change(h)))


def test_a_value_that_no_gradient_needs_may_change_in_place():
    class Counting(Between):
        def between(self, h):
            with torch.no_grad():
                count = (h > 0).float()
                count.mul_(2)
            return h * count

    assert_like_eager(Counting())
