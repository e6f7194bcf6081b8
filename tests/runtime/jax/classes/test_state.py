"""What equal stages hold apart though they are computed together, against the reference.

Float64, where only the order of sums differs; a state, a draw or a mask of another stage's shows in
the first digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.jobs import falling_rate
from torch import Tensor, nn
from weft.backend.nn.online_norm import OnlineNorm
from weft.backend.optim import Guard, build_rule
from weft.backend.sparsity import configure
from weft.compiler.capture.capture import capture
from weft.compiler.stages.cut import cut
from weft.runtime.reference.executor import ReferenceExecutor
from weft.runtime.tick.job import Job
from weft.runtime.tick.stage_classes import stage_classes

jax = pytest.importorskip("jax")

from weft.bench.equality.equality import between, end, relative  # noqa: E402
from weft.runtime.jax.executor import JaxExecutor  # noqa: E402
from weft.runtime.jax.home import OneDevice  # noqa: E402

FLOAT64 = 1e-12
WIDTH, COUNT, NOW = 8, 60, 20
BAD = 5, 6, 30
POISONED = 3  # the middle one of the stages that are done together


@pytest.fixture(scope="module", autouse=True)
def x64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def grouped(job: Job) -> JaxExecutor:
    return JaxExecutor(job, chunk=16, home=OneDevice(job, together=True))


def shared(job: Job) -> list[list[int]]:
    return [own.indices for own in stage_classes(job) if not own.is_single]


def job_on(model: nn.Module, sparsity: object) -> Job:
    """Training `model` on 6 numbers a sample, with clipped gradients."""
    kind = next(model.parameters()).dtype
    label = torch.zeros(1, dtype=torch.long)
    graph = capture(model, (torch.zeros(1, 6, dtype=kind), label), F.cross_entropy)
    rule = build_rule("sgdm", momentum=0.9, weight_decay=1e-3, compensation="sc+lwp")
    tensors = {name: value.detach().clone() for name, value in model.named_parameters()}
    tensors |= dict(model.named_buffers()) | graph.constants  # keys of what is drawn
    chosen = configure(sparsity)
    masks, rules = chosen.masks(model), chosen.rules(model)
    return Job(cut(graph), tensors, masks, rule, falling_rate, Guard(0.5), rules)


def poisoned() -> list[np.ndarray]:
    x, labels = numbers(COUNT)
    x[list(BAD)] = np.nan
    return [x, labels]


def numbers(count: int) -> list[np.ndarray]:
    """Samples of three classes."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, count)
    return [generator.standard_normal((count, 6)) + (labels[:, None] - 1.0), labels]


def same(mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor], bound: float) -> None:
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        assert relative(mine[name], value) <= bound, name


def block() -> nn.Module:
    """A layer with state of the forward, state of the backward, and draws."""
    layers = nn.Linear(WIDTH, WIDTH), OnlineNorm(WIDTH, 0.9, 0.8), nn.Tanh(), nn.Dropout(0.3)
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def stateful() -> Job:
    """Equal blocks, whose masks change at the same steps by two rules."""
    torch.manual_seed(0)
    blocks = [block() for _ in range(4)]
    model = nn.Sequential(nn.Linear(6, WIDTH), nn.Tanh(), *blocks, nn.Linear(WIDTH, 3)).double()
    rigl = {"algorithm": "rigl", "update": {"freq": 12}}
    return job_on(
        model,
        [
            {**rigl, "param_filter": ["3.0.weight"], "sparsity": 0.5, "drop_fraction": 0.2},
            {**rigl, "param_filter": ["4.0.weight"], "sparsity": 0.3, "drop_fraction": 0.5},
            {**rigl, "param_filter": ["5.0.weight"], "sparsity": 0.7, "drop_fraction": 0.2},
        ],
    )


@pytest.fixture(scope="module")
def machine(stateful: Job) -> JaxExecutor:
    return grouped(stateful)


def test_state_draws_masks_and_bad_samples_equal_the_reference(
    stateful: Job, machine: JaxExecutor
) -> None:
    assert shared(stateful) == [[2, 3, 4]]
    machine.restart(stateful)
    reference = ReferenceExecutor(stateful)
    mine, theirs = (end(executor, poisoned()) for executor in (machine, reference))
    for got, expected in zip(mine.losses, theirs.losses, strict=True):
        np.testing.assert_allclose(got, expected, rtol=FLOAT64)
    same(mine.tensors, theirs.tensors, FLOAT64)
    for name, state in theirs.optimizer.items():
        same(mine.optimizer[name], state, FLOAT64)
    same(mine.masks, theirs.masks, 0)
    assert all(not torch.equal(mask, stateful.masks[n]) for n, mask in mine.masks.items())
    assert machine.skips() == reference.skips()
    assert {skips.total for skips in machine.skips()[:-1]} == {len(BAD)}


def test_evaluation_between_samples_in_flight(stateful: Job, machine: JaxExecutor) -> None:
    """Draws nothing, advances nothing."""
    machine.restart(stateful)
    reference = ReferenceExecutor(stateful)
    for executor in (machine, reference):
        executor.feed([values[:NOW] for values in numbers(COUNT)])
    before = machine.snapshot()
    (mine,), (theirs,) = (executor.evaluate(numbers(7)) for executor in (machine, reference))
    np.testing.assert_allclose(mine, theirs, rtol=1e-9)
    same(machine.snapshot(), before, 0)


def test_a_gradient_that_is_not_finite_stops_the_stages_it_reaches(
    stateful: Job, machine: JaxExecutor
) -> None:
    """Of stages done together some skip the update, and the others make it."""
    machine.restart(stateful)
    reference, sample = ReferenceExecutor(stateful), NOW - 6
    for executor in (machine, reference):
        executor.feed([values[:NOW] for values in numbers(COUNT)])
    for value in reference.saved[POISONED][sample]:
        if value.is_floating_point():
            value.fill_(torch.nan)
    machine.restore(with_nan(machine, sample + POISONED))
    rest = [values[NOW:] for values in numbers(COUNT)]
    same(end(machine, rest).tensors, end(reference, rest).tensors, FLOAT64)
    assert [skips.total for skips in machine.skips()] == [1, 1, 1, 1, 0, 0, 0]
    assert machine.skips() == reference.skips()


def with_nan(machine: JaxExecutor, tick: int) -> dict[str, Tensor]:
    """A snapshot in which all that stage `POISONED` saved at `tick` is not a number."""
    found = machine.snapshot()
    for key, ticks in machine.schedule.buffers.items():
        buffer = found[f".buffers[{key!r}]"]
        is_own = isinstance(key, tuple) and key[:2] == ("saved", POISONED)
        if is_own and buffer.is_floating_point():
            buffer[tick % (ticks + 1)] = torch.nan
    return found


class Tied(nn.Module):
    """Four layers, and the same four in another order: the streams of their weights cross."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, WIDTH), nn.Linear(WIDTH, 3)
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        for number in (0, 1, 2, 3, 1, 3, 0, 2):
            x = torch.tanh(self.layers[number](x))
        return self.last(x)


def test_crossing_streams_of_tied_weights_and_masks_of_two_schedules() -> None:
    torch.manual_seed(0)
    chosen = {"algorithm": "set", "sparsity": 0.5, "drop_fraction": 0.3}
    job = job_on(
        Tied().double(),
        [
            {**chosen, "param_filter": ["layers.[01].weight"], "update": {"freq": 9}},
            {**chosen, "param_filter": ["layers.[23].weight"], "update": {"freq": 14}},
        ],
    )
    assert shared(job) == [[1, 2], [3, 4], [5, 6, 7, 8]]
    executor = grouped(job)
    found = between(end(executor, numbers(COUNT)), end(ReferenceExecutor(job), numbers(COUNT)))
    assert found.largest <= FLOAT64, found
    assert all(not torch.equal(mask, job.masks[n]) for n, mask in executor.masks().items())


def test_frozen_layers_and_an_output_like_the_layers_before_it() -> None:
    torch.manual_seed(0)
    layers = [layer for _ in range(6) for layer in (nn.Tanh(), nn.Linear(WIDTH, WIDTH))]
    model = nn.Sequential(nn.Linear(6, WIDTH), *layers).double()
    model[2:7].requires_grad_(False)
    job = job_on(model, {"sparsity": 0.5, "param_filter": "*.weight"})
    assert shared(job) == [[1, 2, 3], [4, 5, 6]]
    assert [source.stage for source in job.stages.predictions] == [6]
    executors = grouped(job), ReferenceExecutor(job)
    mine, theirs = (executor.feed(numbers(COUNT)) for executor in executors)
    np.testing.assert_allclose(mine.losses.values, theirs.losses.values, rtol=FLOAT64)
    got, expected = mine.predictions[0], theirs.predictions[0]
    assert got.first == expected.first
    np.testing.assert_allclose(got.values, expected.values, rtol=1e-9)
    same(executors[0].tensors(), executors[1].tensors(), FLOAT64)
    assert all(torch.equal(executors[0].tensors()[f"{n}.bias"], model[n].bias) for n in (2, 4, 6))


def test_convolutions_with_state() -> None:
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 3, padding=1)]
    for _ in range(3):
        layers += [OnlineNorm(4, 0.9, 0.8), nn.Tanh(), nn.Conv2d(4, 4, 3, padding=1)]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(24, 3)).double()
    job = job_on(model, {"sparsity": 0.5, "param_filter": "*.weight"})
    assert max(map(len, shared(job))) == 3
    found = between(end(grouped(job), numbers(30)), end(ReferenceExecutor(job), numbers(30)))
    assert found.largest <= FLOAT64, found
