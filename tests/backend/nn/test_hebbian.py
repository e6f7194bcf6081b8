"""The plastic soft-max against an independent loop, in eager torch and in every executor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import weft
from helpers.jobs import job_of, samples
from torch import nn
from weft.backend.errors import UserError
from weft.backend.nn.hebbian import HebbianClassifier, HebbianSoftmax, plastic_mlp
from weft.compiler.capture.capture import capture
from weft.compiler.stages.cut import cut
from weft.runtime.executors import make_executor
from weft.runtime.reference.executor import ReferenceExecutor, SequentialReference
from weft.runtime.tick.job import Job

COUNT = 60


def model(penalty: float = 0.1, dtype: torch.dtype = torch.float64) -> HebbianClassifier:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(9, 12), nn.ReLU(), nn.Linear(12, 6), nn.ReLU())
    made = HebbianClassifier(body, HebbianSoftmax(6, 3, eta=0.2, plasticity=0.5, penalty=penalty))
    made.head.consolidate(torch.rand(6, 3))
    return made.to(dtype)


def job(dtype: torch.dtype = torch.float64, compensation: str = "none") -> Job:
    made = model(dtype=dtype)
    sample = torch.zeros(1, 9, dtype=dtype), torch.zeros(1, dtype=torch.long)
    return job_of(made, cut(capture(made, sample, None)), compensation=compensation)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max())
    return e / e.sum()


def loop(head: HebbianSoftmax, features: np.ndarray, labels: np.ndarray, rate: float):
    """The published rule by hand, gradients written out: theta, alpha, eta, trace and losses."""
    theta, alpha = head.theta.detach().numpy().copy(), head.alpha.detach().numpy().copy()
    eta, trace = head.eta.item(), head.trace.numpy().copy()
    omega, anchor = head.importance.numpy(), head.anchor.numpy()
    losses = []
    for h, label in zip(features, labels, strict=True):
        before = trace[:, label].copy()
        trace[:, label] = (1 - eta) * before + eta * h
        z = h @ (theta + alpha * trace)
        p = softmax(z)
        drift = theta - anchor
        losses.append(-np.log(p[label]) + head.penalty * (omega * drift**2).sum())
        dz = p - np.eye(len(z))[label]
        weights = np.outer(h, dz)
        d_eta = (dz[label] * alpha[:, label] * h * (h - before)).sum()
        theta, alpha, eta = (
            theta - rate * (weights + 2 * head.penalty * omega * drift),
            alpha - rate * weights * trace,
            eta - rate * d_eta,
        )
    return theta, alpha, eta, trace, np.array(losses)


def test_the_rule_equals_an_independent_loop() -> None:
    head = model().head
    generator = np.random.default_rng(1)
    features, labels = generator.standard_normal((COUNT, 6)), generator.integers(0, 3, COUNT)
    expected = loop(head, features, labels, rate=0.05)
    optimizer, losses = torch.optim.SGD(head.parameters(), lr=0.05), []
    for h, label in zip(features, labels, strict=True):
        optimizer.zero_grad()
        result = head(torch.tensor(h)[None], torch.tensor([label]))
        result.loss.backward()
        optimizer.step()
        losses.append(result.loss.item())
    got = (*(p.detach().numpy() for p in (head.theta, head.alpha, head.eta)), head.trace.numpy())
    for mine, its in zip((*got, np.array(losses)), expected, strict=True):
        np.testing.assert_allclose(mine, its, rtol=0, atol=1e-12)


def test_a_batch_moves_each_class_by_its_mean() -> None:
    head = model().head
    h, labels = torch.randn(5, 6, dtype=torch.float64), torch.tensor([0, 2, 0, 2, 2])
    before = head.trace.clone()
    head(h, labels)
    for c in (0, 2):
        expected = 0.8 * before[:, c] + 0.2 * h[labels == c].mean(0)
        torch.testing.assert_close(head.trace[:, c], expected)
    torch.testing.assert_close(head.trace[:, 1], before[:, 1])


def test_eta_one_keeps_the_last_mean_and_alpha_zero_is_a_plain_softmax() -> None:
    head = HebbianSoftmax(6, 3, eta=1.0, plasticity=0.0).double()
    h, label = torch.randn(1, 6, dtype=torch.float64), torch.tensor([1])
    plain = head.theta.detach().clone().requires_grad_()
    F.cross_entropy(h @ plain, label).backward()
    head(h, label).loss.backward()
    torch.testing.assert_close(head.trace[:, 1], h[0])
    torch.testing.assert_close(head.theta.grad, plain.grad, rtol=0, atol=1e-14)


def test_the_head_is_the_last_stage_without_delay() -> None:
    sample = torch.zeros(1, 9), torch.zeros(1, dtype=torch.long)
    plan = weft.compile(model(dtype=torch.float32), sample, None, "wse2")
    last = plan.document.stages[-1]
    assert (last.module, last.delay) == ("head", 0)
    assert "head.trace" in last.forward_state
    assert {"head.theta", "head.alpha", "head.eta"} <= set(last.parameters)


def test_the_reference_trains_as_eager_torch_does() -> None:
    own, made = job(), model()
    inputs = samples(own, COUNT)
    executor = SequentialReference(own)
    losses = executor.feed(inputs).losses.values
    optimizer = torch.optim.SGD(made.parameters(), lr=1.0, momentum=0.9, weight_decay=1e-3)
    for number, (x, label) in enumerate(zip(*inputs, strict=True)):
        optimizer.param_groups[0]["lr"] = own.rate(number)
        optimizer.zero_grad()
        result = made(torch.tensor(x)[None], torch.tensor([label]))
        result.loss.backward()
        optimizer.step()
        assert losses[number] == pytest.approx(result.loss.item(), abs=1e-9)
    for name, value in executor.tensors().items():
        torch.testing.assert_close(value, made.state_dict()[name], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["jax", "torch-xla"])
def test_executors_agree(name: str) -> None:
    pytest.importorskip("jax" if name == "jax" else "torch_xla")
    own = job(torch.float32, "lwp")
    inputs = [samples(own, COUNT)[0].astype(np.float32), samples(own, COUNT)[1]]
    executors = ReferenceExecutor(own), make_executor(name, own, "pipelined", "cpu")
    for executor in executors:
        executor.feed(inputs)
        executor.flush()
    mine, its = (executor.tensors() for executor in executors)
    for key, value in mine.items():
        torch.testing.assert_close(its[key], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["reference", "jax", "torch-xla"])
def test_the_trace_stands_still_where_nothing_is_learned(name: str) -> None:
    """A sample that is skipped, and evaluation; it is in every snapshot."""
    if name != "reference":
        pytest.importorskip(name.replace("-", "_"))
    own = job(torch.float32)
    executor = make_executor(name, own, "pipelined", "cpu")
    x, labels = samples(own, 8)
    x = x.astype(np.float32)
    executor.feed([x, labels])
    executor.flush()
    before = executor.tensors()["head.trace"]
    assert before.any()
    executor.feed([np.full_like(x[:1], np.nan), labels[:1]])
    executor.flush()
    torch.testing.assert_close(executor.tensors()["head.trace"], before, rtol=0, atol=0)
    first, other = (executor.evaluate([x, given])[0] for given in (labels, (labels + 1) % 3))
    np.testing.assert_array_equal(first, other)
    torch.testing.assert_close(executor.tensors()["head.trace"], before, rtol=0, atol=0)
    held = [value for key, value in executor.snapshot().items() if "head.trace" in key]
    assert any(torch.equal(value, before) for value in held)
    again = make_executor(name, own, "pipelined", "cpu")
    again.restore(executor.snapshot())
    torch.testing.assert_close(again.tensors()["head.trace"], before, rtol=0, atol=0)


def test_importances_are_mean_squares_of_each_samples_gradient() -> None:
    head = model().head
    h, labels = torch.randn(7, 6, dtype=torch.float64), torch.randint(0, 3, (7,))
    head.trace.copy_(torch.rand(6, 3))
    expected = torch.zeros(6, 3, dtype=torch.float64)
    for x, label in zip(h, labels, strict=True):
        theta = head.theta.detach().clone().requires_grad_()
        scores = x @ (theta + head.alpha.detach() * head.trace)
        F.cross_entropy(scores[None], label[None]).backward()
        expected += theta.grad.square() / 7
    torch.testing.assert_close(head.squared_gradients(h, labels), expected)


def test_a_head_that_is_not_last_is_refused() -> None:
    class Middle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            body = nn.Linear(9, 5)
            self.front = HebbianClassifier(body, HebbianSoftmax(5, 4))
            self.rest = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return F.cross_entropy(self.rest(self.front(x, labels).scores), labels)

    sample = torch.zeros(1, 9), torch.zeros(1, dtype=torch.long)
    with pytest.raises(UserError, match=r"(?s)layer front\.head.*stage \d of \d, of delay [1-9]"):
        weft.compile(Middle(), sample, None, "wse2")


def test_without_rates_the_head_is_and_stays_a_plain_softmax() -> None:
    torch.manual_seed(0)
    plain = plastic_mlp(9, 3, width=5, eta=0.0, plasticity=0.0)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        plain(torch.randn(1, 9), torch.randint(0, 3, (1,))).loss.backward()
        optimizer.step()
    assert not plain.head.alpha.any()
    assert not plain.head.trace.any()
    assert plain.head.eta.item() == 0
    x = torch.randn(4, 9)
    scores = plain.eval()(x, torch.zeros(4, dtype=torch.long)).scores
    torch.testing.assert_close(scores, plain.body(x) @ plain.head.theta)


def test_wrong_options_and_inputs_are_refused() -> None:
    for options in ({"eta": 2.0}, {"classes": 1}, {"penalty": -1.0}, {"features": 0}):
        with pytest.raises(UserError, match=next(iter(options))):
            HebbianSoftmax(**{"features": 4, "classes": 3, **options})
    with pytest.raises(UserError, match="features of shape"):
        model().head(torch.zeros(1, 2, 3), torch.tensor([0]))
    with pytest.raises(UserError, match="importances"):
        model().head.consolidate(-torch.ones(6, 3))
