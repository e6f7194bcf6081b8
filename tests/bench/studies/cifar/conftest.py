"""Images that a test can train on."""

from __future__ import annotations

import numpy as np
import pytest
from weft.bench.studies.cifar import by_torch, by_weft, recipe
from weft.runtime.data import Dataset, Splits


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> Splits:
    """Classes that differ in their mean, and networks small enough for a test."""
    generator, labels = np.random.default_rng(0), np.arange(330) % 10
    x = generator.standard_normal((330, 3, 8, 8)).astype(np.float32)
    x[:, :2] += (labels[:, None, None, None] - 4.5) / [[[[1]], [[-2]]]]
    monkeypatch.setattr(by_torch, "DEPTH", 8)
    monkeypatch.setitem(
        recipe._COMMON, "model", {"name": "mlp", "options": {"width": 8, "hidden": 1}}
    )
    monkeypatch.setitem(recipe._COMMON, "input", {"shape": [3, 8, 8], "classes": 10})
    monkeypatch.setitem(recipe._COMMON, "target", "tiny_mesh")
    monkeypatch.setattr(by_weft, "_EVERY", 50)
    data = Dataset("made", x[:300], labels[:300], x[300:], labels[300:], "none")
    return data.splits
