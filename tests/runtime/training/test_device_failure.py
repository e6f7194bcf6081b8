"""A device that fails in training: one message, with the newest checkpoint that is whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import weft
from helpers.plans_to_train import assert_same_end, small_data, small_plan
from typer.testing import CliRunner, Result
from weft.backend.errors import DeviceError
from weft.cli.app import app_of
from weft.runtime.checkpoint import found_in
from weft.runtime.data import Dataset
from weft.runtime.reference.executor import ReferenceExecutor

EVERY = 25


def failing_after(feeds: int, error: Exception) -> Callable[..., Any]:
    """`feed` of the reference, which raises `error` from then on."""
    feed, done = ReferenceExecutor.feed, []

    def fail(self: ReferenceExecutor, inputs: Any) -> Any:
        done.append(None)
        if len(done) > feeds:
            raise error
        return feed(self, inputs)

    return fail


def out_of_memory_of_jax() -> Exception:
    jax = pytest.importorskip("jax")
    return jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.")


def gone_of_torch_xla() -> Exception:
    return RuntimeError("Bad StatusOr access: UNAVAILABLE: Socket closed\n*** Begin stack trace")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return small_data()


@pytest.fixture
def data_file(data: Dataset, tmp_path: Path) -> Path:
    import numpy as np

    path = tmp_path / "some.npz"
    names = ("x_train", "y_train", "x_test", "y_test")
    np.savez(path, **{name: getattr(data, name) for name in names})
    return path


def train(plan: Path, data: Path, *arguments: object) -> Result:
    words = ("train", plan, "--data", data, "--executor", "reference", *arguments)
    return CliRunner().invoke(app_of(), [str(word) for word in words])


@pytest.mark.parametrize("error", [out_of_memory_of_jax, gone_of_torch_xla])
def test_the_message_names_the_newest_whole_checkpoint_and_the_run_goes_on_from_it(
    error: Callable[[], Exception],
    data: Dataset,
    data_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = small_plan()
    plan.save(tmp_path / "plan")
    whole = weft.train(plan, str(data_file), executor="reference", epochs=2)
    cause, kept = error(), tmp_path / "kept"
    with monkeypatch.context() as patch:
        patch.setattr(ReferenceExecutor, "feed", failing_after(3, cause))
        options = ("--epochs", 2, "--checkpoint", kept, "--every", EVERY)
        outcome = train(tmp_path / "plan", data_file, *options)
    newest = found_in(kept)[-1]
    assert outcome.exit_code == 2
    assert str(cause).splitlines()[0] in outcome.stderr
    assert f"--resume {newest}" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert "stack trace" not in outcome.stderr
    assert_same_end(weft.train(plan, str(data_file), resume=newest), whole)


def test_a_damaged_checkpoint_is_not_offered(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = small_plan()

    def damage_and_fail(self: ReferenceExecutor) -> Any:
        newest = found_in(tmp_path)[-1]
        for file in newest.iterdir():
            file.write_bytes(file.read_bytes()[:-9])
        raise gone_of_torch_xla()

    options: Any = {"executor": "reference", "checkpoint": tmp_path, "every": EVERY}
    monkeypatch.setattr(ReferenceExecutor, "flush", damage_and_fail)
    with pytest.raises(DeviceError) as raised:
        weft.train(plan, data, epochs=1, **options)
    found = found_in(tmp_path)
    assert f"--resume {found[-2]}" in str(raised.value)


def test_without_a_checkpoint_it_says_so(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReferenceExecutor, "feed", failing_after(0, gone_of_torch_xla()))
    with pytest.raises(DeviceError, match="train with --checkpoint"):
        weft.train(small_plan(), data, executor="reference", epochs=1)


def test_a_defect_keeps_its_own_error(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    defect = RuntimeError("INVALID_ARGUMENT: shapes do not match")
    monkeypatch.setattr(ReferenceExecutor, "feed", failing_after(0, defect))
    with pytest.raises(RuntimeError, match="INVALID_ARGUMENT"):
        weft.train(small_plan(), data, executor="reference", epochs=1)
