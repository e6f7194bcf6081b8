"""Which devices work, tried in processes of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from weft.runtime.executors import EXECUTORS
from weft.runtime.probe import DEVICES, probe, probe_all


def package(directory: Path, name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is found before the real one, by the processes that are started, too."""
    (directory / f"{name}.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(directory), prepend=os.pathsep)


def test_each_executor_has_a_row_for_each_device_and_a_reason() -> None:
    found = probe_all(["reference", "jax"])
    assert [(one.executor, one.device) for one in found] == [
        (executor, device) for executor in ("reference", "jax") for device in DEVICES
    ]
    assert all(one.detail for one in found)
    assert ("reference", "cpu", True) in [one[:3] for one in found]
    assert set(EXECUTORS) == {"reference", "jax", "torch-xla"}


def test_a_library_that_hangs_costs_the_time_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path, "jax", "import time\ntime.sleep(100)\n", monkeypatch)
    found = probe("jax", limit_s=2)
    assert [one.works for one in found] == [False] * len(DEVICES)
    assert all("no answer within 2 s" in one.detail for one in found)


def test_a_library_that_aborts_takes_nobody_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path, "jax", "import os\nos.abort()\n", monkeypatch)
    assert all("code -6" in one.detail for one in probe("jax"))
