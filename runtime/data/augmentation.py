"""Images changed at random as they are fed: crops of the padded image, mirror images.

What is drawn for a sample follows from the seed, the epoch and the sample's number alone: neither
the number of workers nor an interruption changes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import tee

import numpy as np

from ...backend.errors import UserError
from .prefetch import prefetched
from .samples import Chunk, Form, Samples

_STREAM = 0x617567
"""Tells these draws from those of the order, which has the same seed and epoch."""


@dataclass(frozen=True)
class Augmented:
    """Samples whose first array holds images (C, H, W).

    Each is padded by `pad_crop` pixels of zero on every side and cut to its size again at random;
    with `flip` half of them are mirrored left to right. Raises UserError for other samples.
    """

    plain: Samples
    seed: int
    pad_crop: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        shape = self.plain.forms[0].shape
        if len(shape) != 3:
            raise UserError(
                "augmentation",
                expected="images of shape (C, H, W)",
                got=f"samples of shape {shape}",
                change="remove augmentation from the recipe",
            )

    def __len__(self) -> int:
        return len(self.plain)

    @property
    def forms(self) -> tuple[Form, ...]:
        """Those of the plain samples."""
        return self.plain.forms

    @property
    def digest(self) -> str:
        """Of the plain samples and what is done to them."""
        own = f"{self.plain.digest} {self.seed} {self.pad_crop} {self.flip}"
        return hashlib.sha256(own.encode()).hexdigest()

    @property
    def in_memory(self) -> Sequence[np.ndarray]:
        """Those of the plain samples."""
        return self.plain.in_memory

    def read(self, indices: np.ndarray, epoch: int) -> list[np.ndarray]:
        """The samples as they are changed in an epoch."""
        return self._changed(self.plain.read(indices, epoch), Chunk(0, epoch, indices))

    def stream(self, chunks: Iterable[Chunk], workers: int) -> Generator[list[np.ndarray]]:
        """Read as the plain samples are; changed by threads."""
        read, kept = tee(chunks)
        pairs = zip(self.plain.stream(read, workers), kept, strict=True)
        return prefetched(pairs, lambda pair: self._changed(*pair), workers)

    def _changed(self, arrays: list[np.ndarray], chunk: Chunk) -> list[np.ndarray]:
        images, *others = arrays
        down, right, mirrored = self._draws(chunk)
        if self.pad_crop:
            images = _cropped(images, self.pad_crop, down, right)
        if self.flip:
            images = np.where(mirrored[:, None, None, None], images[..., ::-1], images)
        return [images, *others]

    def _draws(self, chunk: Chunk) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each sample of a chunk: the crop's first row and column, and whether to mirror."""
        draws = _epoch_draws(self.seed, chunk.epoch, len(self.plain))[chunk.indices]
        places = 2 * self.pad_crop + 1
        return draws[:, 0] % places, draws[:, 1] % places, draws[:, 2] % 2 == 1


@lru_cache(maxsize=4)
def _epoch_draws(seed: int, epoch: int, samples: int) -> np.ndarray:
    generator = np.random.default_rng((_STREAM, seed, epoch))
    return generator.integers(0, 1 << 31, (samples, 3))


def _cropped(images: np.ndarray, pad: int, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of each image, padded by `pad` zeros on every side, the part from (down, right) on."""
    height, width = images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
    return windows[np.arange(len(images)), :, down, right]
