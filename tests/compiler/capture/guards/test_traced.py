"""What a finished trace says that no plan can hold: values that decide, and constants that move."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.against_eager import LABEL, SAMPLE, Between
from helpers.guarded import net, refused
from torch import nn
from weft.backend.errors import UnsupportedError
from weft.compiler.capture.capture import capture


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
