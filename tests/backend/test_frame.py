"""Records as a table of pandas."""

from __future__ import annotations

import sys

import pytest
from weft.backend.errors import UserError
from weft.backend.frame import frame


def test_a_row_for_each_record_and_dotted_columns_for_what_is_nested() -> None:
    pytest.importorskip("pandas")
    found = frame([{"id": 1, "cycles": {"forward": 3}}, {"id": 2, "cycles": {"forward": 4}}])
    assert list(found.columns) == ["id", "cycles.forward"]
    assert found["cycles.forward"].tolist() == [3, 4]


def test_without_pandas_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match="pandas"):
        frame([])
