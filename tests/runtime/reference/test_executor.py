"""The definition against independent ones: plain SGD, and a per-sample simulation."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.jobs import (
    SkipNet,
    TiedNet,
    falling_rate,
    job_of,
    perceptron,
    perceptron_job,
    samples,
    skip_net_job,
)
from helpers.small_models import Transposed
from helpers.stages_of import stages_of
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.compiler.capture.capture import capture
from weft.compiler.plan.program import HOST, Source
from weft.compiler.stages.cut import cut
from weft.runtime.reference.executor import ReferenceExecutor, SequentialReference
from weft.runtime.tick.job import Job

WIDTH = 3


class RandomNet(nn.Module):
    """Layers and sums in random order; node n reads earlier nodes, node 0 is the input."""

    def __init__(self, recipe: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        self.recipe = recipe
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in recipe)

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for layer, reads in zip(self.layers, self.recipe, strict=True):
            total = nodes[reads[0]]
            for read in reads[1:]:
                total = total + nodes[read]
            nodes.append(layer(torch.tanh(total)))
        return nodes[-1]


@st.composite
def recipes(draw: st.DrawFn) -> tuple[tuple[int, ...], ...]:
    """Each node reads its predecessor, and perhaps one or two earlier ones."""
    found = []
    for node in range(draw(st.integers(1, 5))):
        extra = draw(st.lists(st.integers(0, node), max_size=2, unique=True))
        found.append((node, *(read for read in extra if read != node)))
    return tuple(found)


@dataclass
class History:
    """All versions of one stage's parameters and velocities, oldest first."""

    weights: list[list[Tensor]]
    velocities: list[list[Tensor]] = field(default_factory=list)


def literal(job: Job, compensation: str, x: np.ndarray, y: np.ndarray) -> tuple[list, dict]:
    """Sample by sample, with explicit weight histories.

    The forward of sample i at stage s comes after max(0, i - D_s) updates of that stage, its
    backward after i updates. The stage functions are written out here, and autograd differentiates
    them at the weights and inputs of each.
    """
    stages = job.stages.stages
    momentum, decay = job.rule.momentum, job.rule.weight_decay
    start = [[job.tensors[name].clone() for name in stage.parameters] for stage in stages]
    histories = [History([w], [[torch.zeros_like(p) for p in w]]) for w in start]
    losses = []
    for i in range(len(x)):
        known = {
            Source(HOST, 0): torch.tensor(x[i : i + 1]),
            Source(HOST, 1): torch.tensor(y[i : i + 1]),
        }
        used = []
        for stage, history in zip(stages, histories, strict=True):
            delay = 2 * (len(stages) - 1 - stage.index)
            version = max(0, i - delay)
            weights = history.weights[version]
            if "lwp" in compensation:
                step = falling_rate(version) * delay
                pairs = zip(weights, history.velocities[version], strict=True)
                weights = [w - step * v for w, v in pairs]
            used.append(weights)
            known[Source(stage.index, 0)] = apply(weights, [known[s] for s in stage.inputs])
        losses.append(float(known[job.stages.loss]))
        gradients = {job.stages.loss: torch.ones(())}
        for stage, history in reversed(list(zip(stages, histories, strict=True))):
            delay = 2 * (len(stages) - 1 - stage.index)
            weights = used[stage.index] if compensation == "stash" else history.weights[i]
            leaves = [w.detach().requires_grad_() for w in weights]
            inputs = [known[s].detach() for s in stage.inputs]
            wanted = [n for n, value in enumerate(inputs) if value.is_floating_point()]
            for n in wanted:
                inputs[n].requires_grad_()
            output = apply(leaves, inputs)
            arrived = gradients[Source(stage.index, 0)]
            found = torch.autograd.grad(output, [*leaves, *(inputs[n] for n in wanted)], arrived)
            for n, gradient in zip(wanted, found[len(leaves) :], strict=True):
                source = stage.inputs[n]
                # Later readers come first here; the sum of two is the same in either order.
                gradients[source] = gradients.get(source, 0) + gradient
            a, b = (1.0, 0.0)
            if "sc" in compensation:
                a, b = momentum**delay, (1 - momentum**delay) / (1 - momentum)
            weights, velocities = [], []
            for w, v, g in zip(history.weights[i], history.velocities[i], found, strict=False):
                g = g + decay * w
                velocities.append(momentum * v + g)
                weights.append(w - falling_rate(i) * (a * velocities[-1] + b * g))
            history.weights.append(weights)
            history.velocities.append(velocities)
    final = {}
    for stage, history in zip(stages, histories, strict=True):
        final |= zip(stage.parameters, history.weights[-1], strict=True)
    return losses, final


def apply(weights: list[Tensor], inputs: list[Tensor]) -> Tensor:
    """What a stage of `RandomNet` computes: the loss, a sum, or a layer of a sum."""
    if any(not value.is_floating_point() for value in inputs):
        labels, logits = sorted(inputs, key=lambda value: value.is_floating_point())
        return F.cross_entropy(logits, labels)
    total = inputs[0]
    for value in inputs[1:]:
        total = total + value
    if not weights:
        return total
    bias, matrix = sorted(weights, key=lambda value: value.ndim)
    return torch.tanh(total) @ matrix.T + bias


# No shrinking: each example captures a model.
@settings(max_examples=12, deadline=None, derandomize=True, phases=[Phase.generate])
@given(
    recipes(),
    st.sampled_from(["none", "stash", "sc", "lwp", "sc+lwp"]),
    st.integers(1, 25),
)
def test_reference_equals_literal_simulation(
    recipe: tuple[tuple[int, ...], ...], compensation: str, count: int
) -> None:
    torch.manual_seed(len(recipe))
    model = RandomNet(recipe).double()
    stages = stages_of(model, torch.zeros(1, WIDTH, dtype=torch.float64))
    job = job_of(model, stages, compensation=compensation)
    x, y = samples(job, count)
    executor = ReferenceExecutor(job)
    losses = [executor.feed([x, y]).losses.values, executor.flush().losses.values]
    expected_losses, expected = literal(job, compensation, x, y)
    np.testing.assert_allclose(np.concatenate(losses), expected_losses, rtol=1e-10)
    for name, value in expected.items():
        torch.testing.assert_close(executor.tensors()[name], value, rtol=1e-9, atol=1e-12)


class OneStage(nn.Module):
    """Elementwise parameters only: everything joins the loss, S = 1."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([0.5, -0.3, 0.1]))
        self.shift = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return ((self.scale * x + self.shift - y) ** 2).mean()


@pytest.mark.parametrize("compensation", ["none", "stash", "sc+lwp"])
def test_one_stage_is_plain_sgd(compensation: str) -> None:
    model = OneStage()
    stages = cut(capture(model, (torch.zeros(1, 3), torch.zeros(1, 3)), None))
    assert len(stages) == 1
    executor = ReferenceExecutor(job_of(model, stages, compensation=compensation))
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((2, 20, 3)).astype(np.float32)
    got = executor.feed([x, y]).losses.values
    expected = train_with_torch(model, lambda i: model(tensor(x, i), tensor(y, i)), 20)
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    same_tensors(executor.tensors(), model)


@pytest.mark.parametrize("make", [perceptron, SkipNet])
def test_sequential_is_plain_sgd(make) -> None:
    """Losses, weights, and the normalization state that the eager modules keep."""
    torch.manual_seed(1)
    model = make()
    shape = (1, 9) if make is perceptron else (1, 1, 6, 6)
    job = job_of(model, stages_of(model, torch.zeros(shape)), compensation="sc+lwp")
    x, y = samples(job, 30)
    executor = SequentialReference(job)
    got = executor.feed([x, y]).losses.values
    images = x.astype(np.float32)
    expected = train_with_torch(
        model, lambda i: F.cross_entropy(model(tensor(images, i)), tensor(y, i)), 30
    )
    np.testing.assert_allclose(got, expected, rtol=2e-4)
    same_tensors(executor.tensors(), model)


def train_with_torch(model: nn.Module, loss_of, count: int) -> list[float]:
    optimizer = torch.optim.SGD(model.parameters(), 1.0, momentum=0.9, weight_decay=1e-3)
    losses = []
    for i in range(count):
        optimizer.param_groups[0]["lr"] = falling_rate(i)
        optimizer.zero_grad()
        loss = loss_of(i)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def tensor(array: np.ndarray, i: int) -> Tensor:
    return torch.from_numpy(array[i : i + 1])


def same_tensors(got: dict[str, Tensor], model: nn.Module) -> None:
    expected = model.state_dict()
    assert got.keys() == expected.keys()
    for name, value in got.items():
        torch.testing.assert_close(value, expected[name], rtol=2e-4, atol=2e-5)


@pytest.fixture(scope="module")
def skip_net() -> Job:
    return skip_net_job("sc+lwp")


def test_masked_weights_stay_exactly_zero(skip_net: Job) -> None:
    executor = ReferenceExecutor(skip_net)
    executor.feed(samples(skip_net, 20))
    after = executor.tensors()
    for name, mask in skip_net.masks.items():
        assert torch.all(after[name][~mask] == 0)
        assert torch.all(after[name][mask] != skip_net.tensors[name][mask])


def test_draining_updates_every_stage_once_per_sample_and_then_nothing(skip_net: Job) -> None:
    executor = ReferenceExecutor(skip_net)
    first = executor.feed(samples(skip_net, 3))
    assert len(first.losses.values) == 0
    drained = executor.flush()
    assert drained.losses.first == 0
    assert len(drained.losses.values) == 3
    assert drained.predictions[0].values.shape == (3, 3)
    before = executor.tensors()
    assert len(executor.flush().losses.values) == 0
    assert all(torch.equal(before[n], value) for n, value in executor.tensors().items())


def test_nothing_is_left_in_flight_after_draining(skip_net: Job) -> None:
    executor = ReferenceExecutor(skip_net)
    executor.feed(samples(skip_net, 9))
    executor.flush()
    kept = (*executor.values.values(), *executor.gradients.values(), *executor.saved)
    assert not any(kept)


def test_sample_numbers_go_on_after_a_flush(skip_net: Job) -> None:
    """Draining between samples is a pipeline of one: forward and backward see the same weights."""
    executor = ReferenceExecutor(skip_net)
    x, y = samples(skip_net, 4)
    firsts = []
    for i in range(4):
        executor.feed([x[i : i + 1], y[i : i + 1]])
        firsts.append(executor.flush().losses.first)
    assert firsts == [0, 1, 2, 3]


def test_evaluation_is_the_model_in_evaluation_mode_and_disturbs_nothing() -> None:
    job = skip_net_job("none")
    executor, undisturbed = ReferenceExecutor(job), ReferenceExecutor(job)
    x, y = samples(job, 24)
    for machine in (executor, undisturbed):
        machine.feed([x[:12], y[:12]])
    model = SkipNet()
    model.load_state_dict(executor.tensors())
    expected = model.eval()(torch.from_numpy(x.astype(np.float32)))
    (got,) = executor.evaluate([x, y])
    np.testing.assert_allclose(got, expected.detach().numpy(), rtol=1e-4, atol=1e-5)
    losses = [machine.feed([x[12:], y[12:]]).losses.values for machine in (executor, undisturbed)]
    np.testing.assert_array_equal(*losses)


def test_wrong_samples_are_refused() -> None:
    executor = ReferenceExecutor(perceptron_job("none"))
    for wrong in ([np.zeros((2, 9))], [np.zeros((2, 8)), np.zeros(2)], [np.zeros((2, 9)), [0]]):
        with pytest.raises(UserError, match="model inputs"):
            executor.feed([np.asarray(array) for array in wrong])


def test_missing_and_misshapen_tensors_are_refused() -> None:
    job = perceptron_job("none")
    rest = (job.masks, job.rule, job.schedule)
    with pytest.raises(UserError, match=r"0\.weight"):
        Job(job.stages, {}, *rest)
    with pytest.raises(UserError, match=r"mask of 0\.weight"):
        Job(job.stages, job.tensors, {"0.weight": torch.ones(2, dtype=torch.bool)}, *rest[1:])


def test_tied_weights_without_delay_are_plain_sgd() -> None:
    """One stage owns the weight and streams it to the other, whose gradient comes back and adds."""
    torch.manual_seed(0)
    model = TiedNet().double()
    job = job_of(model, stages_of(model, torch.zeros(1, 3, dtype=torch.float64)))
    assert len(job.stages.stages) > 2
    inputs = samples(job, 40)
    executor = SequentialReference(job)
    losses = executor.feed(inputs).losses
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    for i, (x, y) in enumerate(zip(*inputs, strict=True)):
        optimizer.param_groups[0]["lr"] = falling_rate(i)
        loss = F.cross_entropy(model(torch.tensor(x[None])), torch.tensor(y[None]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert losses.values[i] == pytest.approx(loss.item(), rel=1e-12)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(executor.tensors()[name], value, rtol=1e-11, atol=1e-13)


def test_values_between_stages_have_no_strides():
    """Torch's group normalization refuses a transposed value; that stage was traced without."""
    torch.manual_seed(0)
    model = Transposed().double()
    job = job_of(model, stages_of(model, torch.zeros(1, 5, 3, dtype=torch.float64)))
    assert len(job.stages.stages) > 3
    x, y = samples(job, 3)
    executor = SequentialReference(job)
    (predictions,) = executor.evaluate([x, y])
    np.testing.assert_allclose(predictions, model(torch.from_numpy(x)).detach(), rtol=1e-12)
    loss = F.cross_entropy(model(torch.from_numpy(x[:1])), torch.from_numpy(y[:1])).item()
    assert executor.feed([x[:1], y[:1]]).losses.values[0] == pytest.approx(loss, rel=1e-12)
