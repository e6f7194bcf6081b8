"""Data sets: bundled digits, NumPy archives, CIFAR-10, image folders, text, and what Python gives.

Reading order: samples (what is read), dataset (its parts), load and given (where they come from),
normalization, augmentation, prefetch, looked_up (what numbers may be).
"""

from __future__ import annotations

from .augmentation import Augmented
from .dataset import Dataset, Splits
from .given import Wanted, as_splits
from .load import load_data, load_test
from .normalization import Constants, Normalized
from .samples import ArraySamples, Chunk, Samples, rows_of

__all__ = [
    "ArraySamples",
    "Augmented",
    "Chunk",
    "Constants",
    "Dataset",
    "Normalized",
    "Samples",
    "Splits",
    "Wanted",
    "as_splits",
    "load_data",
    "load_test",
    "rows_of",
]
