"""What a run reads samples from: arrays, a part of other samples, or samples changed at random."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from ...backend.errors import UserError
from .prefetch import prefetched


class Form(NamedTuple):
    """Shape and type of one sample's array."""

    shape: tuple[int, ...]
    dtype: np.dtype


class Chunk(NamedTuple):
    """Consecutive samples of a run: the number of the first, the epoch, and which they are."""

    first: int
    epoch: int
    indices: np.ndarray


class Samples(Protocol):
    """Samples to read by index; each is one array per input of the model, the label last."""

    def __len__(self) -> int: ...

    @property
    def forms(self) -> tuple[Form, ...]:
        """Those of one sample."""
        ...

    @property
    def digest(self) -> str:
        """A hash that other samples do not have."""
        ...

    @property
    def in_memory(self) -> Sequence[np.ndarray]:
        """The arrays behind them, one per input; none for samples that must be read."""
        ...

    def read(self, indices: np.ndarray, epoch: int) -> list[np.ndarray]:
        """Arrays with one row per index, as they are in an epoch."""
        ...

    def stream(self, chunks: Iterable[Chunk], workers: int) -> Generator[list[np.ndarray]]:
        """What `read` gives for each chunk, in order, read ahead by so many workers."""
        ...


@dataclass(frozen=True)
class ArraySamples:
    """Arrays with one row per sample. Raises UserError for unequal lengths and for none at all."""

    name: str
    arrays: tuple[np.ndarray, ...]

    def __post_init__(self) -> None:
        rows = [len(array) if array.ndim else 0 for array in self.arrays]
        if not rows or len(set(rows)) > 1 or not rows[0]:
            raise UserError(
                f"data set {self.name}",
                expected="samples, and as many labels",
                got="arrays of shapes " + ", ".join(str(array.shape) for array in self.arrays),
                change="give arrays with one row per sample, at least one",
            )

    def __len__(self) -> int:
        return len(self.arrays[0])

    @property
    def forms(self) -> tuple[Form, ...]:
        """Those of one row."""
        return tuple(Form(array.shape[1:], array.dtype) for array in self.arrays)

    @property
    def digest(self) -> str:
        """SHA-256 of the arrays with their shapes and types."""
        found = hashlib.sha256()
        for array in self.arrays:
            found.update(f"{array.dtype.str} {array.shape}\n".encode())
            found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        return found.hexdigest()

    @property
    def in_memory(self) -> Sequence[np.ndarray]:
        """The arrays."""
        return self.arrays

    def read(self, indices: np.ndarray, epoch: int) -> list[np.ndarray]:
        """The rows; the same in every epoch."""
        return [array[indices] for array in self.arrays]

    def stream(self, chunks: Iterable[Chunk], workers: int) -> Generator[list[np.ndarray]]:
        """Read ahead by threads."""
        return prefetched(chunks, lambda c: self.read(c.indices, c.epoch), workers)


@dataclass(frozen=True)
class Part:
    """Some samples of others, in the order of `indices`."""

    whole: Samples
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def forms(self) -> tuple[Form, ...]:
        """Those of the whole."""
        return self.whole.forms

    @property
    def digest(self) -> str:
        """SHA-256 of that of the whole, and of the indices."""
        own = np.ascontiguousarray(self.indices, dtype=np.int64).tobytes()
        return hashlib.sha256(self.whole.digest.encode() + own).hexdigest()

    @property
    def in_memory(self) -> Sequence[np.ndarray]:
        """Those of the whole."""
        return self.whole.in_memory

    def read(self, indices: np.ndarray, epoch: int) -> list[np.ndarray]:
        """Those of the whole, by the numbers they have here."""
        return self.whole.read(self.indices[indices], epoch)

    def stream(self, chunks: Iterable[Chunk], workers: int) -> Generator[list[np.ndarray]]:
        """As the whole does it."""
        own = (chunk._replace(indices=self.indices[chunk.indices]) for chunk in chunks)
        return self.whole.stream(own, workers)


def rows_of(samples: Samples, epoch: int = 0, at_once: int = 1024) -> list[np.ndarray]:
    """All samples as arrays."""
    starts = range(0, len(samples), at_once)
    parts: Sequence[list[np.ndarray]] = [
        samples.read(np.arange(start, min(start + at_once, len(samples))), epoch)
        for start in starts
    ]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
