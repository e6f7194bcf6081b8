"""Tasks made of one data set: its pixels permuted, or its classes split into pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....backend.errors import UserError
from ....runtime.data import Dataset, load_data


@dataclass(frozen=True)
class Task:
    """Samples (N, pixels) and labels, and which head of the network they are for."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    head: int = 0


@dataclass(frozen=True)
class Images:
    """A data set with flat samples of mean 0 and deviation 1 over all pixels."""

    name: str
    data: Dataset

    @staticmethod
    def load(name_or_path: str) -> Images:
        """`digits`, or a .npz file. Raises UserError for labels that are no classes."""
        found = load_data(name_or_path)
        if found.y_train.ndim != 1 or found.y_train.dtype.kind != "i":
            raise UserError(
                f"data set {found.name}",
                expected="one class per sample",
                got=f"labels of {found.y_train.dtype}, shape {found.y_train.shape}",
                change="give digits, or a .npz file of images and classes",
            )
        train, test = (part.reshape(len(part), -1) for part in (found.x_train, found.x_test))
        mean, deviation = float(train.mean()), float(train.std())
        scaled = [((part - mean) / deviation).astype(np.float32) for part in (train, test)]
        whole = Dataset(found.name, scaled[0], found.y_train, scaled[1], found.y_test, "scaled")
        return Images(found.name, whole)

    def permuted(self, count: int, samples: int, seed: int) -> list[Task]:
        """`count` tasks of all classes, each with its own order of the pixels.

        Each trains on `samples` samples of its own draw, or all there are, and is tested on all
        test samples.
        """
        data = self.data
        tasks = []
        for number in range(count):
            generator = np.random.default_rng((seed, number))
            order = generator.permutation(data.x_train.shape[1])
            drawn = generator.permutation(len(data.x_train))[:samples]
            x, y = data.x_train[drawn][:, order], data.y_train[drawn]
            tasks.append(Task(x, y, data.x_test[:, order], data.y_test))
        return tasks

    def split(self, samples: int, seed: int) -> list[Task]:
        """A task for classes 0 and 1, one for 2 and 3, and so on, each with a head of its own."""
        data = self.data
        pairs = (int(data.y_train.max()) + 1) // 2
        return [self._pair(number, samples, seed) for number in range(pairs)]

    def _pair(self, number: int, samples: int, seed: int) -> Task:
        data = self.data
        train, test = (np.flatnonzero(y // 2 == number) for y in (data.y_train, data.y_test))
        train = np.random.default_rng((seed, number)).permutation(train)[:samples]
        y, y_test = data.y_train[train] % 2, data.y_test[test] % 2
        return Task(data.x_train[train], y, data.x_test[test], y_test, number)
