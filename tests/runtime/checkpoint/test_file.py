"""Checkpoint directories: written whole or not at all, damage refused by name, the last kept."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.plans_to_train import HEADER
from weft.backend.errors import CheckpointFileError, UserError
from weft.runtime.checkpoint import Store, found_in, newest, read, write

TENSORS = {"weights/a": torch.arange(50.0), "position": torch.tensor([3, 0, 3])}


def store_of(directory: Path, keep: int = 3) -> Store:
    directory.mkdir(exist_ok=True)
    return Store(directory, replace(HEADER, keep=keep))


def names(directory: Path) -> list[str]:
    return [path.name for path in found_in(directory)]


def test_the_last_few_are_kept(tmp_path: Path) -> None:
    store = store_of(tmp_path, keep=2)
    for samples in (5, 10, 15, 1000000000):
        store.write(samples, (), TENSORS)
    assert names(tmp_path) == ["step-000000015", "step-1000000000"]
    assert len(list(tmp_path.iterdir())) == 2
    assert newest(tmp_path).header.samples == 1000000000


def test_later_ones_of_another_course_are_removed(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    for samples in (5, 10, 15, 10):
        store.write(samples, (), {**TENSORS, "weights/a": torch.full((2,), float(samples))})
    assert names(tmp_path) == ["step-000000005", "step-000000010"]


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def move(file: Path) -> None:
    data = json.loads(file.read_text())
    file.write_text(json.dumps({**data, "samples": data["samples"] + 1}))


def garble(file: Path) -> None:
    file.write_text("[1, 2]")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *(("state.safetensors", how) for how in (truncate, empty, flip, Path.unlink)),
        *(("checkpoint.json", how) for how in (truncate, empty, move, garble, Path.unlink)),
    ],
)
def test_damage_is_refused_by_name_and_the_previous_good_one_offered(
    name: str, damage: Callable[[Path], None], tmp_path: Path
) -> None:
    store = store_of(tmp_path, keep=9)
    first, second, third, last = [store.write(n, (), TENSORS) for n in (5, 10, 15, 20)]
    damage(last / name)
    damage(third / name)
    for path in (tmp_path, last):
        with pytest.raises(CheckpointFileError) as caught:
            newest(path)
        assert caught.value.where == str(last / name)
        assert f"--resume {second}" in caught.value.change
    assert newest(second).header.samples == 10
    damage(first / name)
    damage(second / name)
    with pytest.raises(CheckpointFileError, match="no earlier checkpoint here is whole"):
        newest(tmp_path)


def test_another_format_version_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "c", HEADER, TENSORS)
    file = tmp_path / "c" / "checkpoint.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 99}))
    with pytest.raises(CheckpointFileError, match="format 99"):
        read(tmp_path / "c")


@pytest.mark.parametrize("call", ["fsync", "rename", "open"])
@pytest.mark.parametrize("replacing", [False, True])
def test_a_write_that_stops_anywhere_leaves_the_earlier_ones(
    call: str, replacing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the n-th call of each system call, for n = 1, 2, ... until the write succeeds."""
    original, stops = getattr(os, call), 0
    for limit in range(1, 20):
        directory = tmp_path / str(limit)
        store = store_of(directory)
        store.write(5, (), TENSORS)
        if replacing:
            store.write(10, (), TENSORS)
        calls = iter(range(1, 1000))

        def stopping(*arguments, calls=calls, limit=limit, **options):
            if next(calls) == limit:
                raise OSError("no space left")
            return original(*arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, stopping)
            try:
                store.write(10, (), TENSORS)
                is_written = True
            except OSError:
                is_written, stops = False, stops + 1
        assert all(read(path).tensors.keys() == TENSORS.keys() for path in found_in(directory))
        assert "step-000000005" in names(directory)
        if is_written:
            assert newest(directory).header.samples == 10
            break
    assert stops >= 1
    assert is_written


def test_none_and_nothing_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match="step-NUMBER"):
            newest(path)
