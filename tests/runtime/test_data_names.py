"""Data that are not there are told by what they look like: a path or a name."""

from __future__ import annotations

from pathlib import Path

import pytest
from weft.backend.errors import UnknownNameError, UserError
from weft.runtime.data_names import check_present


@pytest.mark.parametrize("name", ["no_such.npz", "no_such/", "folder/no_such", "no_such.txt"])
def test_of_a_path_it_is_said_that_nothing_is_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        check_present(str(tmp_path / name))


def test_of_a_name_what_it_may_have_meant() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
        check_present("digit")


def test_what_is_there_passes(tmp_path: Path) -> None:
    check_present("digits")
    check_present(str(tmp_path))
