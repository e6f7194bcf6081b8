"""What every source of data gives: arrays for training and for testing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Dataset:
    """Inputs (N, ...), numbers or tokens, and labels, int64, for training and for testing.

    Labels are (N,), or (N, ...) where every position has its own. `normalization` says what was
    done to the inputs.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    normalization: str

    def order(self, epoch: int, seed: int) -> np.ndarray:
        """The order of the training samples in an epoch; a function of its arguments alone."""
        return np.random.default_rng((seed, epoch)).permutation(len(self.x_train))

    def epochs(self, epochs: int, seed: int) -> Iterator[np.ndarray]:
        """The orders of all epochs."""
        for epoch in range(epochs):
            yield self.order(epoch, seed)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the training samples with their shapes and types."""
        found = hashlib.sha256()
        for array in (self.x_train, self.y_train):
            found.update(f"{array.dtype.str} {array.shape}\n".encode())
            found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        return found.hexdigest()


def standardized(images: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """(pixel - mean) / deviation per channel; images (N, C, H, W) of any type, result float32."""
    shift, scale = (v.reshape(-1, 1, 1).astype(np.float32) for v in (mean, deviation))
    result = images.astype(np.float32)
    result -= shift
    result /= np.where(scale > 0, scale, np.float32(1))
    return result


def from_pixels(
    name: str, train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]
) -> Dataset:
    """A data set from byte images (N, C, H, W) and labels, standardized by the training images."""
    (x_train, y_train), (x_test, y_test) = train, test
    mean, deviation = _moments(x_train)
    texts = (", ".join(f"{v:.2f}" for v in values) for values in (mean, deviation))
    return Dataset(
        name=name,
        x_train=standardized(x_train, mean, deviation),
        y_train=y_train.astype(np.int64),
        x_test=standardized(x_test, mean, deviation),
        y_test=y_test.astype(np.int64),
        normalization="(pixel - [{}]) / [{}], from the training images".format(*texts),
    )


def _moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation per channel, from the counts of the 256 values: exact."""
    values = np.arange(256.0)
    rows = [np.bincount(images[:, c].reshape(-1), minlength=256) for c in range(images.shape[1])]
    shares = np.stack(rows) / rows[0].sum()
    mean = shares @ values
    return mean, np.sqrt(shares @ values**2 - mean**2)
