"""Data sets as arrays: bundled digits, NumPy archives, CIFAR-10, image folders, text as bytes."""

from __future__ import annotations

from .dataset import Dataset
from .load import load_data, load_test

__all__ = ["Dataset", "load_data", "load_test"]
