"""Which devices work, tried in processes of their own."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from weft.runtime.probe import DEVICES, EXECUTORS, brief, probe, probe_all


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


needs_torch_xla = pytest.mark.skipif(find_spec("torch_xla") is None, reason="no torch_xla")


@needs_torch_xla
def test_torch_xla_is_imported_once_for_all_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imports = tmp_path / "imports"
    package(tmp_path, "torch_xla", f"open({str(imports)!r}, 'a').write('once ')\n", monkeypatch)
    found = probe("torch-xla")
    assert imports.read_text() == "once "
    assert [one.device for one in found] == list(DEVICES)
    assert all("torch_xla" in one.detail for one in found)


@needs_torch_xla
def test_a_device_that_aborts_leaves_the_next_ones_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "import os\ndef __getattr__(name):\n    os.abort()\n"
    package(tmp_path, "torch_xla", source, monkeypatch)
    found = probe("torch-xla")
    assert [one.device for one in found] == list(DEVICES)
    assert all("code 134" in one.detail for one in found)


def test_reasons_are_told_in_one_sentence() -> None:
    assert brief("No plug-in: CUDA. See https://a.b/c for more.\nat x.cc:1") == "No plug-in: CUDA"
    assert brief("failed: lib.so (set A='' to choose)") == "failed: lib.so"
    assert brief(" \n") == ""
