"""CIFAR-10 in its own binary form: data_batch_1.bin ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from weft.backend.errors import UserError
from weft.runtime.data import load_data

RECORD = 3073


def cifar(directory: Path, records: int = 4) -> np.ndarray:
    """Two training files and a test file of random records; all of them, in that order."""
    directory.mkdir(exist_ok=True)
    content = np.random.default_rng(0).integers(0, 256, (3, records, RECORD), dtype=np.uint8)
    content[:, :, 0] %= 10
    for name, part in zip(("data_batch_1", "data_batch_2", "test_batch"), content, strict=True):
        part.tofile(directory / f"{name}.bin")
    return content


def test_cifar_is_read_plane_by_plane_and_standardized(tmp_path: Path) -> None:
    content = cifar(tmp_path)
    data = load_data(str(tmp_path))
    assert data.x_train.shape == (8, 3, 32, 32)
    assert data.x_test.shape == (4, 3, 32, 32)
    np.testing.assert_array_equal(data.y_train, content[:2, :, 0].reshape(-1))
    np.testing.assert_array_equal(data.y_test, content[2, :, 0])
    np.testing.assert_allclose(data.x_train.mean((0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(data.x_train.std((0, 2, 3)), 1, atol=1e-4)
    green = content[:2, :, 1 + 1024 : 1 + 2048].reshape(8, 32, 32).astype(np.float64)
    expected = (green - green.mean()) / green.std()
    np.testing.assert_allclose(data.x_train[:, 1], expected, atol=1e-5)


def cut_short(directory: Path) -> None:
    file = directory / "data_batch_2.bin"
    file.write_bytes(file.read_bytes()[:-1])


def without_test(directory: Path) -> None:
    (directory / "test_batch.bin").unlink()


def label_of_ten(directory: Path) -> None:
    file = directory / "data_batch_1.bin"
    file.write_bytes(b"\x0a" + file.read_bytes()[1:])


@pytest.mark.parametrize(
    ("damage", "file", "got"),
    [
        (cut_short, "data_batch_2.bin", "12291 bytes"),
        (without_test, "test_batch.bin", "no such file"),
        (label_of_ten, "data_batch_1.bin", "label 10"),
    ],
)
def test_unfit_cifar_files_are_named(
    damage: Callable[[Path], None], file: str, got: str, tmp_path: Path
) -> None:
    cifar(tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError) as caught:
        load_data(str(tmp_path))
    assert file in caught.value.where
    assert got in caught.value.got
