"""scikit-learn's handwritten digits."""

from __future__ import annotations

import numpy as np

from ...backend.errors import UserError
from ...backend.packages import package
from .dataset import Dataset

_TEST_SIZE = 360
_SPLIT_SEED = 0


def digits(raw: bool = False) -> Dataset:
    """1797 images of 8 x 8 pixels, ten classes; 1437 for training, 360 for testing.

    Raises UserError without scikit-learn, and if they are to stay `raw`: they are no bytes.
    """
    if raw:
        raise UserError(
            "data set 'digits'",
            expected="no input.mean and input.deviation: the digits are standardized as they come",
            got="both",
            change="leave them out",
        )
    package("sklearn", "data set 'digits', which is scikit-learn's", "weft[demo]")
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(
        images, labels, test_size=_TEST_SIZE, random_state=_SPLIT_SEED, stratify=labels
    )
    x_train, x_test, y_train, y_test = map(np.asarray, parts)
    mean, deviation = x_train.mean(), x_train.std()
    return Dataset(
        name="digits",
        x_train=_images((x_train - mean) / deviation),
        y_train=y_train.astype(np.int64),
        x_test=_images((x_test - mean) / deviation),
        y_test=y_test.astype(np.int64),
        normalization=f"(pixel - {mean:.4f}) / {deviation:.4f}, from the training images",
    )


def _images(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(-1, 1, 8, 8).astype(np.float32)
