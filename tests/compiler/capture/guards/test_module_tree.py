"""What can be seen of a model before its forward runs: hooks, kinds of tensors and of modules."""

from __future__ import annotations

from collections import namedtuple

import pytest
import torch
import torch.nn.functional as F
from helpers.against_eager import Between, assert_like_eager
from helpers.guarded import net, refused
from torch import nn

Bounds = namedtuple("Bounds", "low high")


MODULE_HOOKS = ("register_full_backward_hook", "register_full_backward_pre_hook")


@pytest.mark.parametrize("register", MODULE_HOOKS)
def test_backward_hooks_of_modules(register):
    model = Between()
    getattr(model.second, register)(lambda *_: None)
    assert refused(model).startswith("module second")


def test_backward_hooks_of_all_modules():
    handle = nn.modules.module.register_module_full_backward_hook(lambda *_: None)
    try:
        assert "all" in refused(Between())
    finally:
        handle.remove()


def test_forward_hooks_are_part_of_the_forward():
    model = Between()
    model.first.register_forward_hook(lambda module, given, result: result * 3)
    model.second.register_forward_pre_hook(lambda module, given: (torch.tanh(given[0]),))
    assert_like_eager(model)


def test_a_hook_after_the_gradient_was_accumulated():
    model = Between()
    model.first.bias.register_post_accumulate_grad_hook(lambda parameter: None)
    assert refused(model).startswith("parameter first.bias")


HIDDEN = {
    "list": lambda m: setattr(m, "kept", [m.first.weight]),
    "dict": lambda m: setattr(m, "kept", {0: m.first.weight}),
    "tuple": lambda m: setattr(m, "kept", Bounds(m.first.weight, 1.0)),
}


@pytest.mark.parametrize("hide", HIDDEN.values(), ids=HIDDEN)
def test_a_parameter_reached_through_a_container_trains(hide):
    class Reached(Between):
        def forward(self, x):
            return self.second(F.linear(x, self.kept[0], self.first.bias))  # type: ignore

    model = Reached()
    hide(model)
    assert_like_eager(model)


def test_what_trains_must_be_registered():
    kept = [nn.Linear(6, 6)]
    assert "named_parameters" in refused(net(lambda model, h: kept[0](h)))
    leaf = torch.ones(6, requires_grad=True)
    assert "named_parameters" in refused(net(lambda model, h: h * leaf))
    assert_like_eager(net(lambda model, h: h * leaf.detach()))


def test_a_constant_that_shares_the_memory_of_a_parameter():
    def keep(model):
        model.kept = [model.second.weight.data.t()]

    message = refused(net(lambda model, h: h @ model.kept[0] @ torch.ones(3, 6), keep))
    assert "shares the memory of second.weight" in message


SHARED = {
    "a row of it": lambda weight: weight.detach()[0],
    "all of it": lambda weight: weight.detach(),
    "the parameter itself": lambda weight: weight,
    "its last element": lambda weight: weight.detach().view(-1)[-1:],
}


@pytest.mark.parametrize("name", SHARED)
def test_a_buffer_that_shares_the_memory_of_a_parameter(name):
    def keep(model):
        model.register_buffer("kept", SHARED[name](model.second.weight))

    message = refused(net(lambda model, h: h * model.kept.sum(), keep))
    assert "share memory" in message
    assert "second.weight" in message
    assert "buffer kept" in message


def test_a_buffer_that_shares_the_memory_of_a_frozen_parameter():
    def keep(model):
        model.second.weight.requires_grad_(False)
        model.register_buffer("kept", model.second.weight.detach()[0])

    assert_like_eager(net(lambda model, h: h * model.kept, keep))


@pytest.mark.parametrize("share", [lambda kept: kept, lambda kept: kept.view(6)[:]])
def test_buffers_that_share_memory_and_are_written_to(share):
    def keep(model):
        model.register_buffer("kept", torch.ones(6))
        model.register_buffer("same", share(model.kept))

    def between(model, h):
        model.kept.mul_(0.5)
        return h * model.same

    assert refused(net(between, keep)).startswith("buffers of Net")


def test_a_weight_of_complex_numbers():
    def keep(model):
        model.turn = nn.Parameter(torch.ones(6, dtype=torch.complex64))

    assert refused(net(lambda model, h: (h * model.turn).abs(), keep)).startswith("parameter turn")


def test_parameters_that_overlap():
    model, flat = Between(), torch.randn(40)
    model.first.weight = nn.Parameter(flat[:24].view(6, 4))
    model.second.weight = nn.Parameter(flat[20:38].view(3, 6))
    assert "share memory" in refused(model)


def test_a_node_that_accumulates_a_gradient_and_is_kept_for_its_hooks():
    def keep(model):
        weight = model.second.weight
        model.node = weight.view_as(weight).grad_fn.next_functions[0][0]
        model.node.register_prehook(lambda gradients: (gradients[0] * 3,))

    message = refused(net(lambda model, h: h, keep))
    assert message.startswith("attribute node of")
    assert "register_hook" in message
