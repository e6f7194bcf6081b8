"""CIFAR-10's own files, image folders, and text, written by the tests and read back."""

from __future__ import annotations

import sys
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


def write_images(directory: Path, count: int, size: tuple[int, int] = (4, 6)) -> None:
    """Classes 'cat' and 'dog': image number n is filled with n, or 100 + n."""
    image = pytest.importorskip("PIL.Image")
    for base, name in ((0, "cat"), (100, "dog")):
        (directory / name).mkdir(parents=True)
        for n in range(count):
            pixels = np.full((*size, 3), base + n, np.uint8)
            image.fromarray(pixels).save(directory / name / f"{n:02d}.png")


def test_every_fifth_image_of_a_class_is_for_testing(tmp_path: Path) -> None:
    write_images(tmp_path / "pets", 10)
    data = load_data(str(tmp_path / "pets"), (3, 4, 6))
    assert data.name == "pets"
    assert data.x_train.shape == (16, 3, 4, 6)
    np.testing.assert_array_equal(data.y_train, [0] * 8 + [1] * 8)
    np.testing.assert_array_equal(data.y_test, [0, 0, 1, 1])
    values = np.array([n for n in range(10) if n % 5 != 4], np.float64)
    train = np.concatenate([values, 100 + values])
    scaled = (np.array([4, 9, 104, 109]) - train.mean()) / train.std()
    np.testing.assert_allclose(data.x_test[:, 2, 3, 5], scaled, rtol=1e-5)


def test_train_and_test_folders_are_taken_as_they_are(tmp_path: Path) -> None:
    write_images(tmp_path / "train", 3)
    write_images(tmp_path / "test", 2)
    data = load_data(str(tmp_path), None)
    assert (len(data.x_train), len(data.x_test)) == (6, 4)
    np.testing.assert_array_equal(data.y_test, [0, 0, 1, 1])


def test_images_take_the_shape_of_the_model(tmp_path: Path) -> None:
    write_images(tmp_path, 5)
    assert load_data(str(tmp_path), (1, 8, 8)).x_train.shape == (8, 1, 8, 8)


def test_unfit_image_folders_say_what_is_wrong(tmp_path: Path) -> None:
    write_images(tmp_path / "good", 5)
    write_images(tmp_path / "few", 2)
    write_images(tmp_path / "mixed", 5)
    write_images(tmp_path / "mixed2" / "a", 1, (3, 3))
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    write_images(tmp_path / "broken" / "x", 5)
    (tmp_path / "broken" / "x" / "cat" / "02.png").write_bytes(b"no image")
    big = tmp_path / "mixed2" / "a" / "cat" / "00.png"
    (tmp_path / "mixed" / "cat" / "01.png").write_bytes(big.read_bytes())
    for path, shape, got in (
        ("empty", None, "no subfolder"),
        ("few", None, "none to test"),
        ("mixed", None, "one of (3, 3)"),
        ("broken/x", (3, 4, 6), "cannot identify image file"),
        ("good", (9,), "(9,)"),
    ):
        with pytest.raises(UserError) as caught:
            load_data(str(tmp_path / path), shape)
        assert got in caught.value.got
        is_folder = path in ("empty", "few", "good")
        assert ("image folder" in caught.value.where) is is_folder
        assert ("folders" in caught.value.change) is (path in ("empty", "few"))


def test_without_pillow_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path, 5)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(UserError, match=r"pip install 'weft\[images\]"):
        load_data(str(tmp_path), (3, 4, 6))


def test_text_is_cut_into_windows_with_the_next_byte_as_label(tmp_path: Path) -> None:
    content = bytes(range(256)) * 2
    (tmp_path / "text").write_bytes(content)
    data = load_data(str(tmp_path / "text"), (10,))
    assert (len(data.x_train), len(data.x_test)) == (46, 5)
    whole = np.concatenate([data.x_train, data.x_test]).reshape(-1)
    labels = np.concatenate([data.y_train, data.y_test]).reshape(-1)
    assert bytes(whole.astype(np.uint8)) == content[:510]
    assert bytes(labels.astype(np.uint8)) == content[1:511]


def test_unfit_text_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"x" * 20)
    with pytest.raises(UserError, match="at least 21 bytes"):
        load_data(str(path), (10,))
    for shape in (None, (1, 8, 8)):
        with pytest.raises(UserError, match="a model whose input is"):
            load_data(str(path), shape)


def test_the_digest_tells_data_apart(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 30)
    (tmp_path / "b").write_bytes(b"abd" * 30)
    digests = [
        load_data(str(tmp_path / name), (5,)).splits.train.digest for name in ("a", "a", "b")
    ]
    assert digests[0] == digests[1] != digests[2]
