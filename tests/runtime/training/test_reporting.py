"""Who is told of a run while it trains, and which files its metrics go to."""

from __future__ import annotations

import pytest
from weft.backend.errors import UserError
from weft.runtime.training.reporting import Reporting


def test_scalars_without_a_directory_are_refused() -> None:
    with pytest.raises(UserError, match="neither log nor checkpoint"):
        Reporting(tensorboard=True).logs(None, None)


def test_nothing_is_logged_without_a_directory() -> None:
    assert Reporting().logs(None, None) == []
