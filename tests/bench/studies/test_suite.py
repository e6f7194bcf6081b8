"""The experiments of `weft bench training` together, and the page that is written as they go."""

from __future__ import annotations

from pathlib import Path

import pytest
from weft.backend.errors import UserError
from weft.bench.studies.suite import Suite


def test_the_experiment_stands_alone_and_needs_its_images() -> None:
    with pytest.raises(UserError, match="--images"):
        Suite(parts=("cifar10",))
    with pytest.raises(UserError, match="alone"):
        Suite(parts=("cifar10", "digits"), images=Path("x"))
