"""Programs that a captured graph would get wrong without a word are refused by name, or right."""

from __future__ import annotations

import random
from collections import namedtuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.against_eager import LABEL, SAMPLE, Between, assert_like_eager
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint
from weft.backend.errors import UnsupportedError
from weft.compiler.capture.capture import capture

HERE = r"test_guards.py:\d+"
Bounds = namedtuple("Bounds", "low high")


def refused(model: nn.Module, *sample) -> str:
    with pytest.raises(UnsupportedError) as refusal:
        capture(model, sample or (SAMPLE, LABEL), F.cross_entropy)
    return str(refusal.value)


def net(between, prepare=lambda model: None) -> Between:
    """A model that does `between(model, h)` between its layers, prepared once it is made."""
    model = type("Net", (Between,), {"between": between})()
    prepare(model)
    return model


def _without(change):
    with torch.no_grad():
        change()


class Doubling(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


class Rounded(torch.autograd.graph.saved_tensors_hooks):
    def __init__(self):
        super().__init__(torch.round, lambda value: value)


def _in(context, result):
    with context:
        return result()


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


def _changed_without(h):
    h = h * 1
    with torch.no_grad():
        h.mul_(2)
    return h


def _changed_by_data(h):
    h = h * 1
    h.data.mul_(2)
    return h


def _changed_by_alias(h):
    h = h * 1
    h.detach()[:, :2].zero_()
    return h


@pytest.mark.parametrize("change", [_changed_without, _changed_by_data, _changed_by_alias])
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


def test_hooks_on_saved_tensors_and_modes_of_dispatch():
    message = refused(net(lambda model, h: _in(Rounded(), lambda: torch.tanh(h) * h)))
    assert "Rounded" in message
    message = refused(net(lambda model, h: _in(Doubling(), lambda: torch.tanh(h))))
    assert "Doubling" in message


def test_activations_saved_on_the_cpu_are_no_matter():
    saved = torch.autograd.graph.save_on_cpu
    assert_like_eager(net(lambda model, h: _in(saved(), lambda: torch.tanh(h) * h)))


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


def test_parameters_that_overlap():
    model, flat = Between(), torch.randn(40)
    model.first.weight = nn.Parameter(flat[:24].view(6, 4))
    model.second.weight = nn.Parameter(flat[20:38].view(3, 6))
    assert "share memory" in refused(model)


class Tagged(nn.Parameter):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return super().__torch_function__(func, types, args, kwargs or {})


def test_tensors_that_are_more_than_numbers():
    model = Between()
    model.second.weight = Tagged(model.second.weight.data)
    assert "Tagged" in refused(model)
    assert "lazy" in refused(nn.LazyLinear(3))

    def keep(module):
        module.register_buffer("sparse", torch.eye(6).to_sparse())

    assert "to_dense" in refused(net(lambda m, h: torch.sparse.mm(m.sparse, h.t()).t(), keep))
    assert "TorchScript" in refused(nn.Sequential(torch.jit.script(nn.Linear(4, 3))))


@pytest.mark.parametrize(
    "draw", [random.random, lambda: float(np.random.rand()), lambda: random.choice([1.0, 2.0])]
)
def test_numbers_that_python_draws(draw):
    def drawn(model, h):
        return h * draw()

    before = random.getstate(), np.random.get_state()[2]
    message = refused(net(drawn))
    assert "the plan would keep the one of this trace" in message
    assert "test_guards.py" in message
    assert (random.getstate(), np.random.get_state()[2]) == before


DECIDING = {
    "branch": (lambda m, h: h if h.sum() > 0 else -h, "torch.where"),
    "rows": (lambda m, h: h + h[h > 0].sum(), "torch.where"),
    "places": (lambda m, h: h + h.nonzero().float().mean(), "nonzero"),
    "number": (lambda m, h: h * h.abs().max().item(), r"leave out .item\(\)"),
}


@pytest.mark.parametrize(("between", "remedy"), DECIDING.values(), ids=DECIDING)
def test_values_that_decide(between, remedy):
    with pytest.raises(UnsupportedError, match=remedy):
        capture(net(between), (SAMPLE, LABEL), F.cross_entropy)


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
