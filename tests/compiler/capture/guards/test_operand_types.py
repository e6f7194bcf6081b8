"""Operands of several types: what eager torch refuses is refused, and nothing else."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.against_eager import LABEL, SAMPLE
from helpers.guarded import net
from torch import nn
from weft.backend.errors import UnsupportedError
from weft.compiler.capture.capture import capture

NARROW = torch.bfloat16


def own(module: nn.Module):
    return lambda model: model.add_module("own", module.to(NARROW))


def image(h):
    return h.reshape(1, 6, 1, 1).expand(1, 6, 3, 3)


def flat(h):
    return h.float().flatten(1)[:, :6]


def scaled(model):
    model.register_buffer("kept", torch.zeros(1, 6))


CASES = {
    "linear": (lambda m, h: flat(m.own(h)), own(nn.Linear(6, 6))),
    "linear without bias": (lambda m, h: flat(m.own(h)), own(nn.Linear(6, 6, bias=False))),
    "linear, bias": (
        lambda m, h: F.linear(h, m.own.weight.float(), m.own.bias),
        own(nn.Linear(6, 6)),
    ),
    "linear in half": (lambda m, h: flat(m.own(h.half())), own(nn.Linear(6, 6))),
    "convolution": (lambda m, h: flat(m.own(image(h))), own(nn.Conv2d(6, 6, 3, bias=False))),
    "transposed": (
        lambda m, h: flat(m.own(image(h))),
        own(nn.ConvTranspose2d(6, 6, 3, bias=False)),
    ),
    "matmul": (lambda m, h: flat(h.t() @ h.to(NARROW))[:1], None),
    "bmm": (lambda m, h: flat(torch.bmm(h[:, :, None], h[:, None].to(NARROW))), None),
    "einsum": (lambda m, h: torch.einsum("bi,bj->bj", h, h.to(NARROW)), None),
    "layer norm": (lambda m, h: flat(m.own(h)), own(nn.LayerNorm(6))),
    "group norm": (lambda m, h: flat(m.own(image(h))), own(nn.GroupNorm(2, 6))),
    "put": (lambda m, h: h.index_put((torch.tensor([0]),), h.to(NARROW)), None),
    "index add": (lambda m, h: h.index_add(0, torch.tensor([0]), h.to(NARROW)), None),
    "written": (lambda m, h: h + m.kept.copy_(h.detach().to(NARROW)), scaled),
    "wide layer norm": (lambda m, h: flat(F.layer_norm(h.to(NARROW), (6,), h[0].detach())), None),
    "joined": (lambda m, h: torch.cat([h[:, :3], h[:, 3:].to(NARROW)], 1), None),
    "added": (lambda m, h: h + h.to(NARROW), None),
    "chosen": (lambda m, h: torch.where(h > 0, h, h.to(NARROW)), None),
    "all narrow": (lambda m, h: flat(m.own(h.to(NARROW))), own(nn.Linear(6, 6))),
}


@pytest.mark.parametrize(("between", "prepare"), CASES.values(), ids=CASES)
def test_what_eager_torch_refuses_is_refused(between, prepare):
    model = net(between, prepare or (lambda model: None))
    try:
        model(SAMPLE)
    except RuntimeError:
        with pytest.raises(UnsupportedError, match="bfloat16"):
            capture(model, (SAMPLE, LABEL), F.cross_entropy)
    else:
        capture(model, (SAMPLE, LABEL), F.cross_entropy)


def test_the_line_and_the_cure_are_told():
    model = net(CASES["linear"][0], CASES["linear"][1])
    with pytest.raises(UnsupportedError, match=r"aten\.linear\.default in own") as refusal:
        capture(model, (SAMPLE, LABEL), F.cross_entropy)
    assert "x.to(weight.dtype)" in refusal.value.change


def test_a_large_tensor_takes_no_memory():
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(1 << 20, 1 << 16, bias=False).to(NARROW))
        sample = torch.empty(1, 1 << 20), torch.empty(1, dtype=torch.long)
    with pytest.raises(UnsupportedError, match="bfloat16"):
        capture(model, sample, F.cross_entropy)
