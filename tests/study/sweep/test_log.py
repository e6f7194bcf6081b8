"""The directory of a sweep: what it is, and one line of JSON a point, appended as it is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from weft.backend.errors import UserError
from weft.study.sweep.log import Sweep, SweepLog

OWN = Sweep("recipe", ("axis",), "grid", 50)


def test_the_directory_of_another_sweep_is_refused_by_name(tmp_path: Path) -> None:
    SweepLog(tmp_path / "s", OWN)
    with pytest.raises(UserError, match="samples 50, not 60"):
        SweepLog(tmp_path / "s", Sweep("recipe", ("axis",), "grid", 60))
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="a folder with other files"):
        SweepLog(tmp_path, OWN)
