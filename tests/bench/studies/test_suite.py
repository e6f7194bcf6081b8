"""The experiments of `weft bench training` together, and the page that is written as they go."""

from __future__ import annotations

from pathlib import Path

import pytest
from weft.backend.errors import UserError
from weft.bench.studies.suite import Suite


def test_experiments_with_pages_of_their_own_run_alone_and_images_must_be_given() -> None:
    with pytest.raises(UserError, match="--images"):
        Suite(parts=("cifar10",))
    for part in ("cifar10", "gpt"):
        with pytest.raises(UserError, match="alone"):
            Suite(parts=(part, "digits"), images=Path("x"))
