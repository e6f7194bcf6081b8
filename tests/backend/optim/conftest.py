"""Gradients of a few updates."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def gradients() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(12, 3))
