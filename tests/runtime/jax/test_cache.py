"""The folder of compiled programs: filled once, read by others, and no ground to fail."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.jobs import perceptron_job, samples
from weft.runtime.jax.cache import cache_folder, keep_compiled_programs

jax = pytest.importorskip("jax")

from jax.experimental.compilation_cache.compilation_cache import reset_cache  # noqa: E402
from weft.runtime.jax.executor import JaxExecutor  # noqa: E402

HIT = "/jax/compilation_cache/cache_hits"
SETTINGS = (
    "jax_enable_compilation_cache",
    "jax_compilation_cache_dir",
    "jax_compilation_cache_max_size",
    "jax_persistent_cache_min_compile_time_secs",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache folder; jax is left as it was."""
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    jax.config.update("jax_enable_compilation_cache", True)
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    reset_cache()
    yield tmp_path
    for name, value in before.items():
        jax.config.update(name, value)
    reset_cache()


@pytest.fixture
def hits() -> Iterator[list[str]]:
    """Fills with one entry for each program that was found on disk."""
    seen: list[str] = []

    def listener(event: str, **_: Any) -> None:
        if event == HIT:
            seen.append(event)

    jax.monitoring.register_event_listener(listener)
    yield seen
    jax.monitoring.clear_event_listeners()


def losses() -> np.ndarray:
    job = perceptron_job("none")
    return JaxExecutor(job, chunk=16).feed(samples(job, 20)).losses.values


def test_a_second_executor_finds_the_program(folder: Path, hits: list[str]) -> None:
    kept = keep_compiled_programs()
    assert kept is not None
    assert kept.is_relative_to(folder)
    first = losses()
    hits.clear()
    assert any(kept.glob("jit__run-*-cache"))
    jax.clear_caches()
    np.testing.assert_array_equal(losses(), first)
    assert hits


def test_a_damaged_entry_is_compiled_again(folder: Path) -> None:
    kept = keep_compiled_programs()
    assert kept is not None
    first = losses()
    for entry in kept.glob("*-cache"):
        entry.write_bytes(entry.read_bytes()[:100])
    jax.clear_caches()
    with pytest.warns(UserWarning, match="persistent compilation cache"):
        np.testing.assert_array_equal(losses(), first)


def test_a_folder_the_user_chose_stays(folder: Path) -> None:
    jax.config.update("jax_compilation_cache_dir", str(folder / "own"))
    assert keep_compiled_programs() is None
    assert jax.config.jax_compilation_cache_dir == str(folder / "own")


def test_a_folder_that_cannot_be_made_is_done_without(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "file"))
    assert keep_compiled_programs() is None
    assert jax.config.jax_compilation_cache_dir is None


def test_a_relative_cache_home_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the XDG specification wants."""
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert cache_folder() == Path.home() / ".cache" / "weft" / "xla"


PROCESS = """
import jax, jax.numpy as jnp
from weft.runtime.jax.cache import keep_compiled_programs
keep_compiled_programs()
print([float(jax.jit(lambda x: jnp.tanh(x) * n)(1.0)) for n in range(1, 20)])
"""


def test_processes_may_share_it(tmp_path: Path) -> None:
    """Several that compile the same programs at the same time, into an empty folder."""
    own = {
        "XDG_CACHE_HOME": str(tmp_path),
        "JAX_ENABLE_COMPILATION_CACHE": "true",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    command = [sys.executable, "-W", "error", "-c", PROCESS]
    running = [
        subprocess.Popen(
            command, env=os.environ | own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ended = [process.communicate(timeout=200) for process in running]
    assert [process.returncode for process in running] == [0, 0], ended
    assert len({out for out, _ in ended}) == 1
    assert any(tmp_path.rglob("*-cache"))
