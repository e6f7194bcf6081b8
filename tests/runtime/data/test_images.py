"""A folder of images: one subfolder per class, or train/ and test/ with one per class in each."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from weft.backend.errors import UserError
from weft.runtime.data import load_data


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
