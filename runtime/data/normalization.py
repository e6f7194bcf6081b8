"""Images normalized by constants of the recipe as they are fed."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...backend.errors import UserError
from .prefetch import prefetched
from .samples import Chunk, Form, Samples


@dataclass(frozen=True)
class Constants:
    """(x - mean) / deviation, one pair for all or for each channel of (C, ...).

    Bytes are divided by 255 first, as torchvision does; real numbers are not.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Of inputs (N, ...), in float32."""
        axes = (-1, *[1] * (inputs.ndim - 2))
        mean, deviation = (
            np.array(values, np.float32).reshape(axes) for values in (self.mean, self.deviation)
        )
        scale = np.float32(255 if inputs.dtype == np.uint8 else 1)
        return (inputs.astype(np.float32) / scale - mean) / deviation

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises UserError unless they fit samples of a shape."""
        channels = shape[0] if len(shape) > 1 else 1
        if not {len(self.mean), len(self.deviation)} <= {1, channels}:
            raise UserError(
                "input.mean and input.deviation",
                expected=f"one of each, or {channels}, one for each channel of {shape}",
                got=f"{len(self.mean)} and {len(self.deviation)}",
                change="correct them",
            )


@dataclass(frozen=True)
class Normalized:
    """Samples whose first array is normalized; raises UserError for constants that do not fit."""

    plain: Samples
    constants: Constants

    def __post_init__(self) -> None:
        self.constants.check(self.plain.forms[0].shape)

    def __len__(self) -> int:
        return len(self.plain)

    @property
    def forms(self) -> tuple[Form, ...]:
        """Those of the plain samples; the first is float32."""
        first, *others = self.plain.forms
        return Form(first.shape, np.dtype(np.float32)), *others

    @property
    def digest(self) -> str:
        """Of the plain samples and the constants."""
        return hashlib.sha256(f"{self.plain.digest} {self.constants}".encode()).hexdigest()

    @property
    def in_memory(self) -> Sequence[np.ndarray]:
        """Those of the plain samples."""
        return self.plain.in_memory

    def read(self, indices: np.ndarray, epoch: int) -> list[np.ndarray]:
        """The samples, normalized."""
        return self._normalized(self.plain.read(indices, epoch))

    def stream(self, chunks: Iterable[Chunk], workers: int) -> Generator[list[np.ndarray]]:
        """Read as the plain samples are; normalized by threads."""
        return prefetched(self.plain.stream(chunks, workers), self._normalized, workers)

    def _normalized(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        return [self.constants(arrays[0]), *arrays[1:]]
