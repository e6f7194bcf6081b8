"""A run at batch size 1: `weft.train`, with checkpoints, so that it goes on where it stopped."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.cifar_runs import WEFT, StoppedError, made_run
from weft.bench.studies.cifar.by_weft import run_by_weft
from weft.bench.studies.cifar.kept import Clock
from weft.runtime.data import Splits


def test_weft_goes_on_from_its_checkpoint_as_if_it_had_not_stopped(
    images: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jax")
    whole = run_by_weft(WEFT, 2, images, made_run(tmp_path / "whole"))
    assert whole.accuracy is not None
    assert whole.accuracy > 0.2
    folder, keep = made_run(tmp_path / "stopped"), Clock.keep
    kept: list[int] = []

    def stopping(clock: Clock) -> None:
        keep(clock)
        kept.append(0)
        if len(kept) == 6:
            raise StoppedError

    monkeypatch.setattr(Clock, "keep", stopping)
    with pytest.raises(StoppedError):
        run_by_weft(WEFT, 2, images, folder)
    monkeypatch.setattr(Clock, "keep", keep)
    assert (folder / "run" / "step-000000250").is_dir()
    again = run_by_weft(WEFT, 2, images, folder)
    assert (again.accuracy, again.loss) == (whole.accuracy, whole.loss)
    assert again.samples == whole.samples == 2 * 270
    assert again.first_delay == whole.first_delay > 0
    assert sorted(path.name for path in folder.iterdir()) == ["seconds", "weights.safetensors"]


def test_a_stopped_run_advises_what_the_study_takes(
    images: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jax")
    monkeypatch.setattr(Clock, "keep", lambda clock: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt, match="the same command") as stopped:
        run_by_weft(WEFT, 1, images, made_run(tmp_path / "run"))
    assert "--resume" not in str(stopped.value)


def test_a_search_does_not_read_the_test_and_a_diverged_run_is_an_outcome(
    images: Splits, tmp_path: Path
) -> None:
    pytest.importorskip("jax")
    unread = replace(images, test=None)
    scored = run_by_weft(replace(WEFT, part="validation"), 1, unread, made_run(tmp_path / "a"))
    assert scored.loss is not None
    lost = run_by_weft(replace(WEFT, factor=1e12), 1, images, made_run(tmp_path / "b"))
    assert (lost.accuracy, lost.loss) == (None, None)
    assert lost.samples < 270
