"""A text file as bytes: windows for a language model that predicts the next byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...backend.errors import UserError
from .dataset import Dataset

_TEST_SHARE = 10  # the last tenth


def text(path: Path, window: int) -> Dataset:
    """Windows of `window` bytes side by side (N, window) int64, and for each byte the next one.

    The last tenth of the windows is for testing. Raises UserError for a file of fewer than two
    windows.
    """
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    count = (len(content) - 1) // window
    if count < 2:
        raise UserError(
            f"data file {path}",
            expected=f"at least {2 * window + 1} bytes: two windows of {window} and the byte after",
            got=f"{len(content)} bytes",
            change="give a longer text, or a model with a shorter input",
        )
    x, y = (
        content[first : first + count * window].reshape(count, window).astype(np.int64)
        for first in (0, 1)
    )
    train = count - max(1, count // _TEST_SHARE)
    return Dataset(
        name=path.name,
        x_train=x[:train],
        y_train=y[:train],
        x_test=x[train:],
        y_test=y[train:],
        normalization="bytes as numbers 0 to 255",
    )
