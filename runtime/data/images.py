"""A folder of images: one subfolder per class, or train/ and test/ with one per class in each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...backend.errors import UserError
from ...backend.packages import package
from .dataset import Dataset, from_pixels

_SUFFIXES = (".png", ".jpg", ".jpeg")
_TEST_NAMES = ("test", "val")
_TEST_EVERY = 5
_MODES = {1: "L", 3: "RGB"}

Files = list[tuple[Path, int]]


def image_folder(directory: Path, shape: tuple[int, ...] | None, raw: bool = False) -> Dataset:
    """The PNG and JPEG files of a folder, as `shape` (C, H, W), grey for C = 1 and RGB for C = 3.

    Classes are numbered in the alphabetical order of their folders. Without train/ and test/ (or
    val/), every fifth image of a class is for testing. Images of another size are resized; without
    a `shape` they are RGB and must have one size. They are standardized unless `raw`.
    Raises UserError without Pillow, for a folder without classes, and for a file that is no image.
    """
    _check_shape(directory, shape)
    train, test = _split(directory)
    return from_pixels(directory.name, _read(train, shape), _read(test, shape), raw)


def _check_shape(directory: Path, shape: tuple[int, ...] | None) -> None:
    if shape is not None and (len(shape) != 3 or shape[0] not in _MODES):
        raise UserError(
            f"image folder {directory}",
            expected="a model whose input is (1, H, W) or (3, H, W)",
            got=f"one whose input is {shape}",
            change="give data of the model's own form, as a .npz file",
        )


def _split(directory: Path) -> tuple[Files, Files]:
    test = next((directory / n for n in _TEST_NAMES if (directory / n).is_dir()), None)
    if (directory / "train").is_dir() and test is not None:
        classes = _classes(directory / "train")
        return _files(directory / "train", classes), _files(test, classes)
    parts: tuple[Files, Files] = ([], [])
    for folder in (directory / name for name in _classes(directory)):
        found = _files(directory, _classes(directory), only=folder.name)
        for number, entry in enumerate(found):
            parts[number % _TEST_EVERY == _TEST_EVERY - 1].append(entry)
    if not parts[1]:
        raise _unfit(directory, f"fewer than {_TEST_EVERY} images in every class, none to test")
    return parts


def _classes(directory: Path) -> list[str]:
    names = sorted(entry.name for entry in directory.iterdir() if entry.is_dir())
    if not names:
        raise _unfit(directory, "no subfolder")
    return names


def _files(directory: Path, classes: Sequence[str], only: str | None = None) -> Files:
    unknown = sorted({entry.name for entry in directory.iterdir() if entry.is_dir()} - {*classes})
    if unknown:
        raise _unfit(directory, f"class '{unknown[0]}', which is not among those for training")
    found = [
        (path, number)
        for number, name in enumerate(classes)
        if only in (None, name) and (directory / name).is_dir()
        for path in sorted((directory / name).iterdir())
        if path.suffix.lower() in _SUFFIXES
    ]
    if not found:
        raise _unfit(directory, f"no {' or '.join(_SUFFIXES)} file" + (f" in {only}" * bool(only)))
    return found


def _read(files: Files, shape: tuple[int, ...] | None) -> tuple[np.ndarray, np.ndarray]:
    pixels = [_pixels(path, shape) for path, _ in files]
    for (path, _), image in zip(files, pixels, strict=True):
        if image.shape != pixels[0].shape:
            raise _odd(
                path,
                f"images of one size, as {files[0][0]}: {pixels[0].shape[1:]}",
                f"one of {image.shape[1:]}",
                "resize it to that of the others",
            )
    return np.stack(pixels), np.array([label for _, label in files])


def _pixels(path: Path, shape: tuple[int, ...] | None) -> np.ndarray:
    """One image as bytes (C, H, W)."""
    pillow = _pillow(path)
    try:
        with pillow.open(path) as image:
            converted = image.convert(_MODES[shape[0] if shape else 3])
    except (OSError, ValueError, SyntaxError) as error:
        change = "replace the file, or remove it from the folder"
        raise _odd(path, "a whole PNG or JPEG file", str(error), change) from error
    if shape and converted.size != (shape[2], shape[1]):
        converted = converted.resize((shape[2], shape[1]), pillow.Resampling.BILINEAR)
    array = np.asarray(converted)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _pillow(path: Path) -> Any:
    return package("PIL.Image", f"image {path}", "weft[images]")


def _odd(path: Path, expected: str, got: str, change: str) -> UserError:
    return UserError(f"image {path}", expected=expected, got=got, change=change)


def _unfit(path: Path, got: str) -> UserError:
    return UserError(
        f"image folder {path}",
        expected="one subfolder per class with PNG or JPEG files; perhaps below train/ and test/",
        got=got,
        change="sort the images into such folders",
    )
