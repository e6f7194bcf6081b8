"""The XLA program against the reference executor, tensor by tensor."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from helpers.jobs import perceptron_job, samples, skip_net_job
from helpers.packed_layers import packed_job
from helpers.reversible_chains import reversible_job
from weft.compiler.stages.kept.pack_saved import Packing
from weft.runtime.reference.executor import ReferenceExecutor, SequentialReference
from weft.runtime.tick.job import Executor, Job, Results

jax = pytest.importorskip("jax")

from weft.runtime.jax.executor import JaxExecutor  # noqa: E402

COUNT = 200

# One rounding of float32 is 6e-8. 200 updates feed it back into the weights; the largest drift of a
# tensor in these runs is 1.1e-6 of its norm (ResNet-20: 7e-6, as far from float64 as the reference
# is). A wrong delay, FIFO slot or learning rate shows in the first digits.
FLOAT32, FLOAT64 = 1e-5, 1e-12


@pytest.fixture
def x64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def run(executor: Executor, job: Job, count: int = COUNT) -> list[Results]:
    return [executor.feed(samples(job, count)), executor.flush()]


def same(got: Executor, expected: Executor, job: Job, bound: float) -> None:
    for one, other in zip(run(got, job), run(expected, job), strict=True):
        streams = zip(
            (one.losses, *one.predictions), (other.losses, *other.predictions), strict=True
        )
        for mine, theirs in streams:
            assert mine.first == theirs.first
            assert mine.values.shape == theirs.values.shape
            error = np.abs(mine.values - theirs.values).max(initial=0)
            assert error <= bound * np.abs(theirs.values).max(initial=0)
    mine, theirs = got.tensors(), expected.tensors()
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        assert mine[name].dtype == value.dtype
        error, norm = (mine[name] - value).double().norm(), value.double().norm()
        assert error <= bound * norm, f"{name}: {error / norm}"


@pytest.mark.parametrize("compensation", ["none", "stash", "sc+lwp"])
def test_perceptron_equals_reference_in_float64(compensation: str, x64: None) -> None:
    job = perceptron_job(compensation, torch.float64)
    same(JaxExecutor(job, chunk=64), ReferenceExecutor(job), job, FLOAT64)


def test_reversible_stages_equal_reference_in_float64(x64: None) -> None:
    job = reversible_job("residual", "stash", anchor_every=2)
    same(JaxExecutor(job, chunk=64), ReferenceExecutor(job), job, FLOAT64)


@pytest.mark.parametrize("packing", ["int8", "fp8"])
def test_packed_activations_equal_reference_in_float64(packing: Packing, x64: None) -> None:
    job = packed_job(packing)
    same(JaxExecutor(job, chunk=64), ReferenceExecutor(job), job, FLOAT64)


def test_perceptron_equals_reference_in_float32() -> None:
    job = perceptron_job("sc+lwp")
    same(JaxExecutor(job, chunk=64), ReferenceExecutor(job), job, FLOAT32)


def test_convolutions_and_online_norm_equal_reference_in_float64(x64: None) -> None:
    job = skip_net_job("sc+lwp", torch.float64)
    same(JaxExecutor(job, chunk=64), ReferenceExecutor(job), job, FLOAT64)


def test_sequential_equals_reference() -> None:
    job = perceptron_job("none")
    executor = JaxExecutor(job, "sequential", chunk=64)
    same(executor, SequentialReference(job), job, FLOAT32)


@pytest.fixture(scope="module")
def skip_net() -> Job:
    return skip_net_job("sc+lwp")


@pytest.fixture(scope="module")
def trained(skip_net: Job) -> JaxExecutor:
    """An executor that was fed `COUNT` samples, drained, and evaluated in between."""
    executor = JaxExecutor(skip_net, chunk=32)
    x, y = samples(skip_net, COUNT)
    executor.feed([x[:77], y[:77]])
    executor.evaluate([x, y])
    executor.feed([x[77:], y[77:]])
    executor.flush()
    return executor


@pytest.fixture(scope="module")
def reference(skip_net: Job) -> ReferenceExecutor:
    executor = ReferenceExecutor(skip_net)
    run(executor, skip_net)
    return executor


def test_convolutions_and_online_norm_equal_reference(
    trained: JaxExecutor, reference: ReferenceExecutor
) -> None:
    """In parts, with an evaluation between them: neither may change anything."""
    expected = reference.tensors()
    for name, value in trained.tensors().items():
        assert (value - expected[name]).norm() <= FLOAT32 * expected[name].norm(), name


def test_masked_weights_stay_exactly_zero(skip_net: Job, trained: JaxExecutor) -> None:
    after = trained.tensors()
    for name, mask in skip_net.masks.items():
        assert torch.all(after[name][~mask] == 0)


def test_evaluation_equals_reference(
    skip_net: Job, trained: JaxExecutor, reference: ReferenceExecutor
) -> None:
    """More samples than one batch holds, and not a multiple of it."""
    inputs = samples(skip_net, 70, seed=1)
    (got,), (expected,) = trained.evaluate(inputs), reference.evaluate(inputs)
    assert got.shape == expected.shape == (70, 3)
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)


def test_feeding_goes_on_after_a_flush(
    skip_net: Job, trained: JaxExecutor, reference: ReferenceExecutor
) -> None:
    inputs = samples(skip_net, 20, seed=2)
    for executor in (trained, reference):
        assert executor.feed(inputs).losses.first == COUNT
    got, expected = trained.flush().losses, reference.flush().losses
    assert got.first == expected.first
    np.testing.assert_allclose(got.values, expected.values, rtol=1e-3)


def test_how_the_stream_is_cut_changes_no_bit() -> None:
    job = perceptron_job("sc+lwp")
    whole, parts = JaxExecutor(job, chunk=16), JaxExecutor(job, chunk=16)
    x, y = samples(job, 50)
    whole.feed([x, y])
    for first, last in ((0, 1), (1, 3), (3, 20), (20, 50)):
        parts.feed([x[first:last], y[first:last]])
    expected = whole.tensors()
    assert all(torch.equal(value, expected[name]) for name, value in parts.tensors().items())


def test_one_program_is_compiled_whatever_the_stream_does() -> None:
    job = perceptron_job("none")
    executor = JaxExecutor(job, chunk=16)
    spent = executor.compile_seconds
    x, y = samples(job, 21)
    executor.feed([x, y])
    executor.flush()
    executor.feed([x[:3], y[:3]])
    assert executor.compile_seconds == spent > 0
    executor.evaluate([x, y])
    assert executor.compile_seconds > spent
