"""What torch does beside the operators of a forward: each is refused with its line and a cure that
is right."""

from __future__ import annotations

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
from helpers.against_eager import assert_like_eager
from helpers.guarded import net, refused
from torch import nn
from torch.nn.utils import rnn

functional = torch.autograd.functional


def _tangent(h):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(torch.sin(forward_ad.make_dual(h, h))).tangent


def _cubes(h):
    return (h**3).sum()


TRANSFORMS = {
    "grad": lambda h: torch.func.grad(_cubes)(h),
    "vjp": lambda h: torch.func.vjp(torch.sin, h)[1](h)[0],
    "jvp": lambda h: torch.func.jvp(torch.sin, (h,), (h,))[1],
    "jacrev": lambda h: torch.func.jacrev(torch.sin)(h[0]).sum(0)[None],
    "jacfwd": lambda h: torch.func.jacfwd(torch.sin)(h[0]).sum(0)[None],
    "hessian": lambda h: torch.func.hessian(_cubes)(h[0]).sum(0)[None],
    "forward mode": _tangent,
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_derivatives_in_forward(name):
    message = refused(net(lambda model, h: TRANSFORMS[name](h)))
    assert "test_entered.py:" in message
    assert "create_graph=True" in message


CURES = {
    "grad": lambda h: torch.autograd.grad(_cubes(h), h, create_graph=True)[0],
    "vjp": lambda h: functional.vjp(torch.sin, h, h, create_graph=True)[1],
    "jvp": lambda h: functional.jvp(torch.sin, h, torch.ones_like(h), create_graph=True)[1],
    "jacobian": lambda h: functional.jacobian(torch.sin, h[0], create_graph=True).sum(0)[None],
    "hessian": lambda h: functional.hessian(_cubes, h[0], create_graph=True).sum(0)[None],
}


@pytest.mark.parametrize("name", CURES)
def test_what_is_told_instead(name):
    assert_like_eager(net(lambda model, h: CURES[name](h)))


def _packed(model, h):
    packed = rnn.pack_padded_sequence(h.view(1, 3, 2), torch.tensor([2]), batch_first=True)
    return model.inner(packed)[1].view(1, 2).repeat(1, 3)


def _recurrent(model):
    model.inner = nn.GRU(2, 2, batch_first=True)


def test_packed_sequences():
    message = refused(net(_packed, _recurrent))
    assert "test_entered.py:" in message
    assert "output[:, length - 1]" in message


def test_the_last_step_of_a_padded_sequence():
    def last(model, h):
        return model.inner(h.view(1, 3, 2))[0][:, 1].repeat(1, 3)

    model, packed = net(last, _recurrent), net(_packed, _recurrent)
    packed.load_state_dict(model.state_dict())
    x = torch.ones(1, 4)
    torch.testing.assert_close(model(x), packed(x))
    assert_like_eager(model)


def _repeated(model, h):
    state = torch.get_rng_state()
    first = torch.rand(6)
    torch.set_rng_state(state)
    return h * first * torch.rand(6)


@pytest.mark.parametrize(
    "between", [_repeated, lambda model, h: torch.manual_seed(0) and h * torch.rand(6)]
)
def test_the_generator_set_in_forward(between):
    model = net(between)
    before = torch.get_rng_state()
    assert "the generator set" in refused(model)
    assert torch.equal(before, torch.get_rng_state())


def test_control_flow_of_operators():
    def chosen(model, h):
        return torch.cond(h.sum() > 0, lambda z: z * 2, lambda z: z * 3, (h,))

    assert "torch.where" in refused(net(chosen))
