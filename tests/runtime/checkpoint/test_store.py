"""Snapshots through a file: the restored executor goes on to the bit as the one they are of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.jobs import perceptron_job, samples, skip_net_job
from helpers.plans_to_train import HEADER
from weft.backend.errors import UserError
from weft.backend.optim import build_rule
from weft.runtime.checkpoint import read, write
from weft.runtime.executors import make_executor
from weft.runtime.tick.job import Executor, Job, Mode


def through_file(executor: Executor, directory: Path) -> dict[str, torch.Tensor]:
    write(directory / "c", HEADER, executor.snapshot())
    found = read(directory / "c")
    assert found.header == HEADER
    return dict(found.tensors)


def parts(job: Job, cuts: tuple[int, ...]) -> list[list[np.ndarray]]:
    inputs = samples(job, cuts[-1])
    pairs = zip((0, *cuts), cuts, strict=False)
    return [[array[a:b] for array in inputs] for a, b in pairs]


def goes_on_alike(name: str, job: Job, directory: Path, mode: Mode = "pipelined") -> None:
    """Snapshots while the pipeline fills and when it is full; each time another process goes on."""
    whole, machine = make_executor(name, job, mode), make_executor(name, job, mode)
    for part in parts(job, (3, 11, 40)):
        expected, got = whole.feed(part), machine.feed(part)
        np.testing.assert_array_equal(got.losses.values, expected.losses.values)
        snapshot = through_file(machine, directory)
        machine.feed(part)  # what comes after the snapshot is lost, as if the process had died
        if name == "reference":
            machine = make_executor(name, job, mode)
        machine.restore(snapshot)
    drained = [whole.flush(), machine.flush()]
    assert drained[0].losses.first == drained[1].losses.first
    np.testing.assert_array_equal(*(results.losses.values for results in drained))
    expected, got = whole.tensors(), machine.tensors()
    assert all(torch.equal(got[key], value) for key, value in expected.items())
    assert whole.skips() == machine.skips()


@pytest.mark.parametrize("compensation", ["sc+lwp", "stash", "lwp_w", "ab"])
def test_reference_with_every_kind_of_state(compensation: str, tmp_path: Path) -> None:
    goes_on_alike("reference", perceptron_job(compensation), tmp_path)


def test_reference_with_adamw(tmp_path: Path) -> None:
    job = replace(perceptron_job("none"), rule=build_rule("adamw", compensation="lwp"))
    goes_on_alike("reference", job, tmp_path)


def test_reference_with_online_norm_masks_and_skips(tmp_path: Path) -> None:
    goes_on_alike("reference", skip_net_job("sc+lwp"), tmp_path)


def test_jax_with_online_norm_masks_and_skips(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    goes_on_alike("jax", skip_net_job("sc+lwp"), tmp_path)


def test_jax_with_stashed_weights(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    goes_on_alike("jax", perceptron_job("stash"), tmp_path)


@pytest.mark.parametrize("name", ["reference", "jax"])
def test_sequential(name: str, tmp_path: Path) -> None:
    if name == "jax":
        pytest.importorskip("jax")
    goes_on_alike(name, perceptron_job("none"), tmp_path, "sequential")


def test_jax_keeps_the_bits_of_bfloat16(tmp_path: Path) -> None:
    jnp = pytest.importorskip("jax.numpy")
    executor = make_executor("jax", perceptron_job("none"), "pipelined")
    values = jnp.array([1.0, -0.0, 3.14159, float("inf"), 1e-30], jnp.bfloat16)
    write(tmp_path / "c", HEADER, {"x": executor._tensor(values)})
    tensor = read(tmp_path / "c").tensors["x"]
    assert tensor.dtype == torch.bfloat16
    again = executor._array(tensor, values)
    assert again.dtype == values.dtype
    assert np.asarray(again).tobytes() == np.asarray(values).tobytes()


def test_a_snapshot_shares_no_memory_with_the_executor() -> None:
    job = perceptron_job("sc+lwp")
    executor = make_executor("reference", job, "pipelined")
    first, second = parts(job, (9, 20))
    executor.feed(first)
    snapshot = executor.snapshot()
    before = {name: value.clone() for name, value in snapshot.items()}
    executor.feed(second)
    assert all(torch.equal(snapshot[name], value) for name, value in before.items())


@pytest.mark.parametrize("name", ["reference", "jax"])
def test_a_snapshot_of_another_job_is_refused_by_tensor(name: str) -> None:
    if name == "jax":
        pytest.importorskip("jax")
    job = perceptron_job("sc+lwp")
    executor = make_executor(name, job, "pipelined")
    snapshot = executor.snapshot()
    weight = next(key for key in snapshot if "0.weight" in key)
    velocity = next(key for key in snapshot if "velocity" in key)
    wrong = {
        weight: {**snapshot, weight: snapshot[weight][:, :4]},
        velocity: {key: value for key, value in snapshot.items() if key != velocity},
        "stranger": {**snapshot, "stranger": torch.zeros(1)},
    }
    for where, tensors in wrong.items():
        with pytest.raises(UserError) as caught:
            executor.restore(tensors)
        assert where in caught.value.where
