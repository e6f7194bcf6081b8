"""One checkpoint: a directory with checkpoint.json and state.safetensors.

It is written under another name, flushed to the disk and renamed, so that it is there whole or not
at all, whenever the process or the machine stops. checkpoint.json holds the SHA-256 of the tensors
and of itself; what was cut short or altered since is refused by name.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor

from ...backend.errors import CheckpointFileError
from ...compiler.plan.codec import DataError, from_data, to_data
from .score import Score

FORMAT_VERSION = 2
HEADER_FILE = "checkpoint.json"
TENSORS_FILE = "state.safetensors"
SCRATCH_PREFIX = ".unfinished."
_ORDER = "order/"
_NONE: Mapping[str, Tensor] = {}


@dataclass(frozen=True)
class Header:
    """What a checkpoint is of, and where its run stands.

    `plan` is the fingerprint of the plan's stages and masks. `samples` were fed so far, of epochs
    of `epoch_samples`; a random order of the data follows from `seed` and that number. `scores`
    are the tests so far. `every` and `keep` say how checkpoints are written.
    """

    weft_version: str
    plan: str
    executor: str
    mode: str
    recipe: dict[str, object]
    data: str
    data_digest: str
    epoch_samples: int
    seed: int
    samples: int
    scores: tuple[Score, ...]
    every: int
    keep: int


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and found whole.

    `tensors` are the executor's snapshot, `order` is the state of an order of samples that has one.
    """

    path: Path
    header: Header
    tensors: Mapping[str, Tensor]
    order: Mapping[str, Tensor] = field(default_factory=dict)


def write(
    path: Path, header: Header, tensors: Mapping[str, Tensor], order: Mapping[str, Tensor] = _NONE
) -> None:
    """Write the checkpoint `path`, replacing one that is there."""
    scratch = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=path.parent))
    try:
        own = {f"{_ORDER}{name}": value for name, value in order.items()}
        content = dump_tensors({**tensors, **own})
        _write_file(scratch / TENSORS_FILE, content)
        _write_file(scratch / HEADER_FILE, _header_text(header, _digest(content)))
        scratch.chmod(0o755)
        _flush(scratch)
        if path.exists():
            remove(path)
        os.rename(scratch, path)
        _flush(path.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove a checkpoint: first its name, so that no half of it is ever found."""
    away = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=path.parent))
    os.rename(path, away / path.name)
    shutil.rmtree(away, ignore_errors=True)


def read(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises CheckpointFileError naming the file that is missing, cut short, altered, or of another
    format version.
    """
    header, digest = _read_header(path / HEADER_FILE)
    file = path / TENSORS_FILE
    content = _content(file)
    if _digest(content) != digest:
        raise _damaged(file, "content that differs from the hash in checkpoint.json")
    try:
        return Checkpoint(path, header, *_parted(load_tensors(content)))
    except SafetensorError as error:
        raise _damaged(file, str(error)) from error


def _parted(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The snapshot of the executor, and the state of the order."""
    snapshot = {n: value for n, value in tensors.items() if not n.startswith(_ORDER)}
    own = {n.removeprefix(_ORDER): v for n, v in tensors.items() if n.startswith(_ORDER)}
    return snapshot, own


def _header_text(header: Header, tensors_digest: str) -> bytes:
    data = {
        "format": FORMAT_VERSION,
        **to_data(header),
        "files": {TENSORS_FILE: tensors_digest},
    }
    signed = {**data, "sha256": _digest(_canonical(data))}
    return (json.dumps(signed, indent=1) + "\n").encode()


def _read_header(file: Path) -> tuple[Header, str]:
    try:
        data = json.loads(_content(file))
    except (ValueError, RecursionError) as error:
        raise _damaged(file, f"no JSON: {error}") from error
    if not isinstance(data, dict):
        raise _damaged(file, "no JSON object")
    if data.get("format") != FORMAT_VERSION:
        raise CheckpointFileError(
            str(file),
            expected=f"checkpoint format {FORMAT_VERSION}",
            got=f"format {data.get('format')!r}",
            change="resume it with the version of weft that wrote it",
        )
    digest = data.pop("sha256", None)
    if digest != _digest(_canonical(data)):
        raise _damaged(file, "content that differs from its own hash")
    del data["format"]
    files = data.pop("files")
    try:
        return from_data(Header, data), files[TENSORS_FILE]
    except DataError as error:
        raise _damaged(file, str(error)) from error


def _canonical(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise _damaged(file, (error.strerror or str(error)).lower()) from error


def _write_file(file: Path, content: bytes) -> None:
    try:
        with file.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
    except OSError as error:
        raise named(error, file) from error


def named(error: OSError, file: Path) -> OSError:
    """The error with the file's name, which those of writing lack."""
    return OSError(error.errno, error.strerror, str(file))


def _flush(directory: Path) -> None:
    """Make the names in a directory last."""
    number = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _damaged(file: Path, got: str) -> CheckpointFileError:
    return CheckpointFileError(
        str(file),
        expected="the file as weft wrote it",
        got=got,
        change="resume from another checkpoint",
    )
