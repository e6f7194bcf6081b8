from __future__ import annotations

import pytest
from weft.backend.errors import UnknownNameError
from weft.runtime.data import load_data


def test_unknown_name_lists_what_is_known() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
        load_data("digit")
