"""Programs of many kinds: each is what eager torch computes, or is refused by name."""

from __future__ import annotations

from collections import namedtuple
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, parametrize
from torch.utils.checkpoint import checkpoint
from weft.backend.errors import UserError
from weft.compiler.capture.capture import capture
from weft.compiler.capture.sample import OneSample, apart
from weft.compiler.stages.cut import cut
from weft.compiler.witness.witness import Witness


class Program(nn.Module):
    """Does `between(self, h)` between two layers; `inner` is what it may call."""

    def __init__(self, between=lambda self, h: h, inner=None):
        super().__init__()
        torch.manual_seed(0)
        self.between, self.first, self.second = between, nn.Linear(4, 6), nn.Linear(6, 3)
        self.inner = inner
        self.register_buffer("seen", torch.ones(6))

    def forward(self, x):
        return self.second(self.between(self, torch.tanh(self.first(x)))).square().sum()


def held(model, sample=None, loss=None):
    """Held against eager torch: the verdict of the witness on its stages, without a plan."""
    sample = sample or (torch.tensor([[0.5, -1.0, 2.0, 0.1]]),)
    graph = capture(model, sample, loss)
    return Witness(OneSample(model, loss), apart(sample), graph)(cut(graph))


def _written(h):
    h = h * 1
    h[:, 2:4].mul_(3)
    h[:, 0] = 1.0
    return h


def _written_through_two_views(h):
    h = h * 1
    h.view(2, 3).t().add_(torch.arange(6.0).view(3, 2))
    return h.reshape(1, 6)


def _filled(h):
    rows = torch.zeros(3, 6)
    for row in range(3):
        rows[row] = h[0] * (row + 1)
    return rows.sum(0, keepdim=True)


def _masked(h):
    h = h.clone()
    h[h > 0] = 0.5
    return h


def _under(context, result):
    with context:
        return result()


def _cast(model, h):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = model.inner(h)
        with torch.autocast("cpu", enabled=False):
            return model.inner(y.float())


def _island(model, h):
    with torch.no_grad():
        mean, gate = h.mean(), model.inner(h)
        with torch.enable_grad():
            inner = model.inner(h)
    return (h - mean) * gate + inner


def _moved_on(model, h):
    model.seen = 0.9 * model.seen + 0.1 * model.second.bias.detach().mean()
    return h * model.seen


def _swapped(model, h):
    model.seen, previous = h.detach()[0], model.seen
    return h * previous


@contextmanager
def _default(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class Fivefold(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 5 * ctx.saved_tensors[0]


class Partly(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        other = y * 1
        ctx.mark_non_differentiable(other)
        ctx.set_materialize_grads(False)
        return x * y, other

    @staticmethod
    def backward(ctx, gradient, _):
        return gradient * 3, None


@torch.jit.script
def _scripted(x):
    return x * 2 + torch.sin(x)


def _linear():
    return nn.Linear(6, 6)


def _normal(h):
    return torch.distributions.Normal(h, h.exp(), validate_args=False).rsample()


def _bernoulli(h):
    return torch.distributions.Bernoulli(probs=h.sigmoid(), validate_args=False).sample()


RIGHT = {
    "a hook that clips": lambda m, h: h.register_hook(lambda g: g.clamp(-0.1, 0.1)) and h,
    "retain_grad": lambda m, h: h.retain_grad() or h,
    "writes through a view": lambda m, h: _written(h),
    "writes through two": lambda m, h: _written_through_two_views(h),
    "rows written one by one": lambda m, h: _filled(h),
    "a mask that is written to": lambda m, h: _masked(h),
    "index_put that adds": lambda m, h: (
        torch.zeros(1, 6).index_put(
            (torch.tensor([0, 0]), torch.tensor([1, 1])), h[0, :2], accumulate=True
        )
        + h
    ),
    "vmap": lambda m, h: torch.vmap(lambda r: r * r.sum())(h.view(2, 3)).reshape(1, 6),
    "a derivative inside": lambda m, h: torch.autograd.grad((h**3).sum(), h, create_graph=True)[0],
    "straight through": lambda m, h: h + (h.round() - h).detach(),
    "a detached maximum": lambda m, h: torch.exp(h - h.max().detach()),
    "a double where": lambda m, h: torch.where(h > 0, torch.where(h > 0, h, 1.0).sqrt(), 0.0),
    "buffers that move on": _moved_on,
    "buffers that change places": _swapped,
    "dropout of all": lambda m, h: F.dropout(h, 1.0) + h,
    "dropout in place": lambda m, h: F.dropout(h * 1, 0.5, inplace=True),
    "alpha dropout": lambda m, h: F.alpha_dropout(h, 0.3, True),
    "dropout of channels": lambda m, h: F.dropout2d(h.view(1, 2, 3, 1), 0.3).view(1, 6),
    "a hard Gumbel softmax": lambda m, h: F.gumbel_softmax(h, hard=True),
    "a normal distribution": lambda m, h: _normal(h),
    "a Bernoulli distribution": lambda m, h: h * _bernoulli(h),
    "a permutation": lambda m, h: h[:, torch.randperm(6)],
    "an initialization as noise": lambda m, h: h + nn.init.trunc_normal_(torch.empty(1, 6)),
    "a fork of the generator": lambda m, h: _under(
        torch.random.fork_rng(), lambda: h * torch.rand(6)
    ),
    "TorchScript": lambda m, h: _scripted(h),
    "local response": lambda m, h: F.local_response_norm(h.view(1, 6, 1), 3).view(1, 6),
    "strides": lambda m, h: torch.as_strided(h, (1, 3), (6, 2)).repeat(1, 2),
    "a result given": lambda m, h: torch.add(h.detach(), 1, out=torch.empty(1, 6)) + h,
    "a sum as einsum": lambda m, h: torch.einsum("bi,bj->bij", h, h).sum(1),
    "an order": lambda m, h: h.sort(-1).values + h.topk(6).values,
    "16 bits between": lambda m, h: (h.half() * 3).float(),
    "whole numbers": lambda m, h: h * h.int(),
    "activations on the CPU": lambda m, h: _under(
        torch.autograd.graph.save_on_cpu(), lambda: h * h
    ),
    "anomalies watched for": lambda m, h: _under(
        torch.autograd.detect_anomaly(check_nan=False), lambda: h * h
    ),
    "another default type": lambda m, h: _under(
        _default(torch.float64), lambda: h * torch.ones(6).to(h.dtype)
    ),
    "a Function by setup_context": lambda m, h: Fivefold.apply(h),
    "a Function with a result apart": lambda m, h: sum(Partly.apply(h, torch.ones(6))),
    "the version of a tensor": lambda m, h: h * (h._version + 1),
    "whether gradients are needed": lambda m, h: h * (2 if h.requires_grad else 3),
}


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("name", RIGHT)
def test_what_happens_between_layers(name):
    verdict = held(Program(RIGHT[name]))
    assert (verdict.level, verdict.counts["gradient"]) == ("float64", 4)


def _call(model, h):
    return model.inner(h)


INNER = {
    "weight norm": (_call, lambda: parametrizations.weight_norm(_linear())),
    "orthogonal": (_call, lambda: parametrizations.orthogonal(_linear())),
    "spectral norm": (_call, lambda: parametrizations.spectral_norm(_linear())),
    "cached parametrizations": (
        lambda m, h: _under(parametrize.cached(), lambda: m.inner(m.inner(h))),
        lambda: parametrizations.weight_norm(_linear()),
    ),
    "called twice": (lambda m, h: m.inner(torch.tanh(m.inner(h))), _linear),
    "other weights": (
        lambda m, h: torch.func.functional_call(
            m.inner, {name: value * 2 for name, value in m.inner.named_parameters()}, (h,)
        ),
        _linear,
    ),
    "a weight and its transpose": (
        lambda m, h: F.linear(torch.tanh(F.linear(h, m.inner.weight)), m.inner.weight.t()),
        lambda: nn.Linear(6, 9, bias=False),
    ),
    "autocast": (_cast, _linear),
    "islands without gradient": (_island, _linear),
    "a checkpoint": (
        lambda m, h: checkpoint(lambda z: F.dropout(m.inner(z)), h, use_reentrant=False),
        _linear,
    ),
    "a checkpoint in another": (
        lambda m, h: checkpoint(
            lambda z: checkpoint(m.inner, torch.sin(z), use_reentrant=False) + z,
            h,
            use_reentrant=False,
        ),
        _linear,
    ),
    "a re-entrant checkpoint": (
        lambda m, h: checkpoint(lambda z: F.dropout(m.inner(z)), h, use_reentrant=True),
        _linear,
    ),
    "frozen batch normalization": (_call, lambda: nn.BatchNorm1d(6).eval()),
    "frozen, without weights": (_call, lambda: nn.BatchNorm1d(6, affine=False).eval()),
    "frozen, synchronized": (_call, lambda: nn.SyncBatchNorm(6).eval()),
    "instance normalization": (
        lambda m, h: m.inner(h.view(1, 2, 3)).view(1, 6),
        lambda: nn.InstanceNorm1d(2, affine=True),
    ),
    "an embedding with sparse gradients": (
        lambda m, h: h + m.inner(torch.tensor([1])),
        lambda: nn.Embedding(4, 6, sparse=True),
    ),
    "an embedding with padding": (
        lambda m, h: h + m.inner(torch.tensor([1, 2])).sum(0),
        lambda: nn.Embedding(4, 6, padding_idx=1),
    ),
    "an embedding by frequency": (
        lambda m, h: h + m.inner(torch.tensor([1, 1, 2])).sum(0),
        lambda: nn.Embedding(4, 6, scale_grad_by_freq=True),
    ),
    "a dict of modules": (
        lambda m, h: m.inner["a"](torch.tanh(m.inner["z"](h))),
        lambda: nn.ModuleDict({"z": _linear(), "a": _linear()}),
    ),
    "a projected LSTM": (
        lambda m, h: m.inner(h.view(1, 3, 2))[0].reshape(1, 9)[:, :6],
        lambda: nn.LSTM(2, 6, proj_size=3, batch_first=True),
    ),
    "a quantization stub": (_call, torch.ao.quantization.QuantStub),
}


@pytest.mark.parametrize("name", INNER)
def test_what_calls_a_module(name):
    between, made = INNER[name]
    assert held(Program(between, made())).level == "float64"


REFUSED = {
    "hooks on nodes": lambda m, h: (
        h.grad_fn.register_hook(lambda given, _: tuple(g * 2 for g in given)) and h
    ),
    "transforms of torch.func": lambda m, h: torch.func.grad(lambda z: (z**3).sum())(h),
    "a norm of which the trace has another shape": lambda m, h: (
        h * torch.linalg.vector_norm(h[..., None], dim=-1)
    ),
    "a generator of its own": lambda m, h: h + torch.randn(1, 6, generator=torch.Generator()),
    "the generator seeded": lambda m, h: torch.manual_seed(0) and h + torch.rand(6),
    "numpy between": lambda m, h: h + torch.from_numpy(h.detach().numpy()),
    "a value that is read": lambda m, h: h * float(h.sum()),
    "a shape of the data": lambda m, h: h * torch.unique(h).numel(),
    "another answer while it is traced": lambda m, h: h * 2 if torch.compiler.is_exporting() else h,
}


@pytest.mark.filterwarnings("ignore:.*is_compiling")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    with pytest.raises(UserError):
        held(Program(REFUSED[name]))


def test_a_generator_of_its_own_is_named():
    with pytest.raises(UserError, match=r"leave generator= out"):
        held(Program(REFUSED["a generator of its own"]))


def test_hooks_around_modules_are_part_of_the_forward():
    model = Program()
    model.first.register_forward_pre_hook(lambda m, a, k: ((a[0] * 2,), k), with_kwargs=True)
    model.first.register_forward_hook(lambda m, given, result: result * 3, always_call=True)
    model.second.weight.register_hook(lambda gradient: gradient * 2)
    assert held(model).level == "float64"


Result = namedtuple("Result", "prediction loss")


def test_the_loss_of_a_named_tuple_is_found_by_its_name():
    class Named(Program):
        def forward(self, x):
            prediction = self.first(x)
            return Result(prediction, self.second(prediction).square().sum())

    verdict = held(Named())
    assert (verdict.counts["output"], verdict.counts["gradient"]) == (1, 4)


def test_weights_that_are_tied_after_they_were_made():
    model = Program(lambda m, h: m.inner[1](torch.tanh(m.inner[0](h))))
    model.inner = nn.Sequential(_linear(), _linear())
    model.inner[1].weight = model.inner[0].weight
    assert held(model).counts["gradient"] == 7


def test_wrappers_and_losses_with_weights():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

        def forward(self, prediction, target):
            return (prediction * self.scale - target).square().sum()

    sample = torch.ones(1, 4), torch.ones(1, 3)
    assert held(nn.DataParallel(nn.Linear(4, 3)), sample, Scaled()).counts["gradient"] == 3


class Moving(nn.Module):
    """A loss around an average that moves on."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, scores, target):
        self.mean = 0.9 * self.mean + 0.1 * scores.detach().mean()
        return F.cross_entropy(scores - self.mean * F.one_hot(target, 3), target)


def test_a_buffer_that_a_loss_reassigns():
    verdict = held(nn.Linear(4, 3), (torch.randn(1, 4), torch.tensor([1])), Moving())
    assert verdict.counts["buffer"] == 1


@pytest.mark.parametrize(
    "region",
    [
        lambda m, z: F.dropout(z * 2, 0.5),
        lambda m, z: m.seen.add_(1) * z,
    ],
    ids=["draws", "writes to a buffer"],
)
def test_a_checkpoint_that_does_another_thing_when_it_is_done_again(region):
    def between(m, h):
        return checkpoint(
            lambda z: region(m, z).tanh(), h, use_reentrant=False, preserve_rng_state=False
        )

    with pytest.raises(UserError, match=r"in the backward[\s\S]*preserve_rng_state"):
        held(Program(between))


def test_a_lazy_module_that_has_run_is_a_module():
    model = Program(_call)
    model.inner = nn.LazyLinear(6)
    with pytest.raises(UserError, match="lazy"):
        held(model)
    model(torch.ones(1, 4))
    assert held(model).counts["gradient"] == 6
