"""What every source of data gives: samples for training, for validation and for testing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...backend.errors import UserError
from .samples import ArraySamples, Part, Samples

_VALIDATION_SEED = 0x76616C


@dataclass(frozen=True)
class Splits:
    """Samples for training, for choosing rates and the like, and for a last test.

    `normalization` says what was done to the inputs. Where `shuffles` is false every epoch has the
    samples in their own order.
    """

    name: str
    train: Samples
    validation: Samples | None
    test: Samples | None
    normalization: str
    shuffles: bool = True

    def order(self, epoch: int, seed: int) -> np.ndarray:
        """The order of the training samples in an epoch; a function of its arguments alone."""
        if not self.shuffles:
            return np.arange(len(self.train))
        return epoch_order(len(self.train), epoch, seed)

    def each(self, change: Callable[[Samples], Samples]) -> Splits:
        """With every part changed."""
        validation, test = (
            None if part is None else change(part) for part in (self.validation, self.test)
        )
        return replace(self, train=change(self.train), validation=validation, test=test)

    def with_validation(self, share: float) -> Splits:
        """With a share of the training samples, drawn at random but always the same, held out.

        Raises UserError if that leaves either part without a sample, or if there is one already.
        """
        count = round(share * len(self.train))
        if self.validation is not None or not 0 < count < len(self.train):
            raise UserError(
                "training.validation",
                expected="data without a validation part, and samples for both parts",
                got=f"a share of {share:g} of {len(self.train)} samples"
                + (", and a part for validation" if self.validation is not None else ""),
                change="correct training.validation, or leave it out",
            )
        drawn = np.random.default_rng(_VALIDATION_SEED).permutation(len(self.train))
        held, kept = np.sort(drawn[:count]), np.sort(drawn[count:])
        return replace(self, train=Part(self.train, kept), validation=Part(self.train, held))


@dataclass(frozen=True)
class Dataset:
    """Inputs (N, ...), numbers or tokens, and labels (N, ...), for training and for testing.

    `normalization` says what was done to the inputs.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    normalization: str

    @cached_property
    def splits(self) -> Splits:
        """What a run reads; raises UserError for unequal lengths and for no samples."""
        train = ArraySamples(self.name, (self.x_train, self.y_train))
        test = ArraySamples(self.name, (self.x_test, self.y_test))
        return Splits(self.name, train, None, test, self.normalization)

    def order(self, epoch: int, seed: int) -> np.ndarray:
        """The order of the training samples in an epoch; a function of its arguments alone."""
        return epoch_order(len(self.x_train), epoch, seed)

    def epochs(self, epochs: int, seed: int) -> Iterator[np.ndarray]:
        """The orders of all epochs."""
        for epoch in range(epochs):
            yield self.order(epoch, seed)


def epoch_order(samples: int, epoch: int, seed: int) -> np.ndarray:
    """The samples in the random order of an epoch."""
    return np.random.default_rng((seed, epoch)).permutation(samples)


def standardized(images: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """(pixel - mean) / deviation per channel; images (N, C, H, W) of any type, result float32."""
    shift, scale = (v.reshape(-1, 1, 1).astype(np.float32) for v in (mean, deviation))
    result = images.astype(np.float32)
    result -= shift
    result /= np.where(scale > 0, scale, np.float32(1))
    return result


def from_pixels(
    name: str,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    raw: bool = False,
) -> Dataset:
    """A data set from byte images (N, C, H, W) and labels.

    The images are standardized by those for training, or left as they are if `raw`.
    """
    (x_train, y_train), (x_test, y_test) = train, test
    normalization = "none"
    if not raw:
        mean, deviation = _moments(x_train)
        texts = (", ".join(f"{v:.2f}" for v in values) for values in (mean, deviation))
        x_train = standardized(x_train, mean, deviation)
        x_test = standardized(x_test, mean, deviation)
        normalization = "(pixel - [{}]) / [{}], from the training images".format(*texts)
    labels = (y_train.astype(np.int64), y_test.astype(np.int64))
    return Dataset(name, x_train, labels[0], x_test, labels[1], normalization)


def _moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation per channel, from the counts of the 256 values: exact."""
    values = np.arange(256.0)
    rows = [np.bincount(images[:, c].reshape(-1), minlength=256) for c in range(images.shape[1])]
    shares = np.stack(rows) / rows[0].sum()
    mean = shares @ values
    return mean, np.sqrt(shares @ values**2 - mean**2)
