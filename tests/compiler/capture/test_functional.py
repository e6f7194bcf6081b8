"""In-place operators become functional; what shares memory takes a second trace."""

from __future__ import annotations

import pytest
import torch
from helpers.staged import forward_backward
from torch import nn
from weft.backend.errors import UnsupportedError
from weft.backend.nn.online_norm import OnlineNorm
from weft.compiler.capture.capture import capture
from weft.compiler.stages.cut import cut


class _Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.register_buffer("calls", torch.zeros(6))


class Chained(_Model):
    def forward(self, x):
        y = self.first(x)
        y.add_(1.0).mul_(2.0)
        y += self.second(x)
        return y.square().sum() + y.sum()


class ReadAfterChange(_Model):
    def forward(self, x):
        y = self.first(x)
        z = y.relu_()
        return (self.second(y) * z).sum()


class ViewBeforeChange(_Model):
    def forward(self, x):
        y = self.first(x)
        view = y.view(6)
        y.mul_(3.0)
        return (self.second(view) * view).sum()


class ViewBetweenChanges(_Model):
    def forward(self, x):
        y = self.first(x)
        z = y.add_(1.0)
        view = z.view(6)
        z.mul_(3.0)
        return (self.second(view) * view).sum()


class ChangedView(_Model):
    def forward(self, x):
        y = self.first(x)
        y[:, 2:4].mul_(0.5)
        return self.second(y).square().sum()


class AssignedSlice(_Model):
    def forward(self, x):
        y = self.first(x).view(1, 2, 3)
        y[:, 1:] = self.second(x)[:, None, :3]
        y[:, :, 0] += self.second(x)[0, 0]
        return y.square().sum()


class ChangedInput(_Model):
    def forward(self, x):
        y = x.contiguous()
        y.mul_(2.0)
        return (self.first(x) * self.second(y)).sum()


class Narrowed(_Model):
    def forward(self, x):
        y = self.first(x).to(torch.float32)
        y.mul_(self.second(x))
        return y.double().square().sum()


class Counting(_Model):
    def forward(self, x):
        self.calls.copy_(self.calls + x.detach()[0])
        return (self.first(x) * self.calls).sum()


class CopiedTwice(_Model):
    def forward(self, x):
        self.calls.copy_(self.calls + x.detach()[0])
        self.calls.copy_(self.calls * 2.0)
        return (self.first(x) * self.calls).sum()


class WithoutGradient(_Model):
    def forward(self, x):
        with torch.no_grad():
            scale = self.first(x) * 2.0
            with torch.autocast("cpu", enabled=False):
                shift = scale.relu()
        return (self.first(x) * scale + shift.exp() * self.second(x)).sum()


class Permuted(_Model):
    def forward(self, x):
        y = self.first(x).view(1, 3, 2).permute(0, 2, 1)
        return (torch.group_norm(y, 2) * self.second(x).view(1, 2, 3)).square().sum()


PLAIN = (Chained, ReadAfterChange, Counting, WithoutGradient)
SHARED = (
    ViewBeforeChange,
    ViewBetweenChanges,
    ChangedView,
    AssignedSlice,
    ChangedInput,
    Narrowed,
    CopiedTwice,
)


@pytest.mark.parametrize("kind", [*PLAIN, *SHARED, Permuted], ids=lambda kind: kind.__name__)
def test_stages_equal_eager(kind):
    torch.manual_seed(0)
    model = kind().double()
    sample = torch.randn(1, 6, dtype=torch.float64)
    graph = capture(model, (sample.clone(),), None)
    known = {**dict(model.named_buffers()), **dict(model.named_parameters())}
    known = {name: value.detach().clone() for name, value in {**known, **graph.constants}.items()}
    loss, _, gradients, state = forward_backward(cut(graph), known, (sample.clone(),))
    expected = model(sample.clone())
    expected.backward()
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, model.get_parameter(name).grad, msg=name)
    for name, value in state.items():
        torch.testing.assert_close(value, model.get_buffer(name), msg=name)


@pytest.mark.parametrize("kind", [*PLAIN, *SHARED], ids=lambda kind: kind.__name__)
def test_only_what_shares_memory_is_traced_again(kind, monkeypatch):
    again = []
    program = torch.export.ExportedProgram
    once_more = program.run_decompositions
    monkeypatch.setattr(program, "run_decompositions", lambda *a: again.append(1) or once_more(*a))
    capture(kind().double(), (torch.randn(1, 6, dtype=torch.float64),), None)
    assert bool(again) is (kind in SHARED)


def test_one_tensor_given_twice_is_two_inputs():
    class Product(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, a, b):
            return (self.layer(a) * b).sum()

    x = torch.randn(1, 4)
    graph = capture(Product(), (x, x), None)
    assert all(graph.node(name).users for name in graph.inputs)
    assert len(graph.inputs) == 2


def test_streaming_norm_called_twice_is_refused():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.layer = OnlineNorm(4), nn.Linear(4, 4)

        def forward(self, x):
            return self.norm(self.layer(self.norm(x))).sum()

    with pytest.raises(UnsupportedError, match=r"(?s)norm.*a second call"):
        capture(Twice(), (torch.randn(1, 4),), None)


class Drawing(nn.Module):
    def __init__(self, rate) -> None:
        super().__init__()
        self.layer, self.rate = nn.Linear(4, 64), rate

    def forward(self, x):
        h = self.layer(x)
        return (h * torch.empty_like(h).bernoulli_(self.rate)).sum()


@pytest.mark.parametrize("rate", [0.5, 0.3])
def test_a_rate_that_is_the_operators_default_is_a_rate(rate):
    graph = capture(Drawing(rate), (torch.randn(1, 4),), None)
    below = graph.module.graph.find_nodes(op="call_function", target=torch.ops.aten.lt.Scalar)
    assert [node.args[1] for node in below] == [rate]
