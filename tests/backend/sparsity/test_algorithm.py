"""Algorithms go by the names of their files."""

from __future__ import annotations

from pathlib import Path

import weft
from weft.backend.sparsity import algorithm


def test_each_name_is_that_of_a_file_beside_it() -> None:
    folder = Path(algorithm.__file__).parent
    for name, kind in algorithm.ALGORITHMS.items():
        assert (folder / f"{name}.py").exists()
        assert kind.__module__.endswith(f".{name}")
    assert set(weft.sparsity.algorithms()) >= set(algorithm.ALGORITHMS)
