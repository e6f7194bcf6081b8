"""A forward that reads what the last call left in Python attributes is refused."""

from __future__ import annotations

import pytest
import torch
import weft
from torch import nn
from weft.backend.errors import UnsupportedError


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.kept, self.calls, self.last = nn.Linear(4, 6), [], 0, None

    def forward(self, x):
        return self.read(torch.tanh(self.layer(x))).sum()


class Previous(Layer):
    def read(self, h):
        read, self.last = h if self.last is None else h + self.last, h.detach()
        return read


class Growing(Layer):
    def read(self, h):
        self.kept.append(h.detach())
        return sum(self.kept) * h


class Count(Layer):
    def read(self, h):
        self.calls += 1
        return h / self.calls


class Told(Layer):
    """Keeps things for others to look at."""

    def read(self, h):
        self.calls += 1
        self.kept.append(h.detach())
        self.last = h
        return h


class Buffer(Layer):
    def __init__(self):
        super().__init__()
        self.register_buffer("state", torch.zeros(6))

    def read(self, h):
        self.calls += 1
        read = h + self.state
        self.state = h.detach()[0]
        return read


@pytest.mark.parametrize(
    ("model", "name"), [(Previous, "last"), (Growing, "kept"), (Count, "calls")]
)
def test_what_one_call_leaves_for_the_next_is_refused(model, name):
    with pytest.raises(UnsupportedError, match=rf"attribute .*{name}[\s\S]*register_buffer"):
        weft.compile(model(), (torch.randn(1, 4),))


@pytest.mark.parametrize("model", [Told, Buffer])
def test_what_is_only_kept_compiles(model):
    made = model()
    assert weft.compile(made, (torch.randn(1, 4),)).document.witness == "float64"
    assert (made.calls, made.kept, made.last) == (0, [], None)
