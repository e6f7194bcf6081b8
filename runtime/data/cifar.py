"""CIFAR-10 in its own binary form: data_batch_1.bin ... data_batch_5.bin, test_batch.bin.

A record is one byte of label and 3072 bytes of pixels: the red, green and blue planes of 32 x 32
(https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version").
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...backend.errors import UserError
from .dataset import Dataset, from_pixels

TRAIN_FILES = "data_batch_*.bin"
_TEST_FILE = "test_batch.bin"
_SHAPE = (3, 32, 32)
_RECORD_BYTES = 1 + 3 * 32 * 32
_CLASSES = 10


def cifar10(directory: Path, raw: bool = False) -> Dataset:
    """The images of a directory with CIFAR-10's binary files, standardized unless `raw`.

    Raises UserError naming the file that is missing, cut short, or holds a label above 9.
    """
    train = _read(sorted(directory.glob(TRAIN_FILES)))
    return from_pixels("cifar10", train, _read([directory / _TEST_FILE]), raw)


def _read(files: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    records = np.concatenate([_records(path) for path in files])
    return records[:, 1:].reshape(-1, *_SHAPE), records[:, 0]


def _records(path: Path) -> np.ndarray:
    if not path.is_file():
        raise _unfit(path, "no such file")
    content = np.fromfile(path, dtype=np.uint8)
    if not len(content) or len(content) % _RECORD_BYTES:
        raise _unfit(path, f"{len(content)} bytes")
    records = content.reshape(-1, _RECORD_BYTES)
    if records[:, 0].max() >= _CLASSES:
        raise _unfit(path, f"a record with label {records[:, 0].max()}")
    return records


def _unfit(path: Path, got: str) -> UserError:
    return UserError(
        f"data file {path}",
        expected=f"CIFAR-10's binary form: records of {_RECORD_BYTES} bytes, labels 0 to 9",
        got=got,
        change="unpack cifar-10-binary.tar.gz and give the directory cifar-10-batches-bin",
    )
