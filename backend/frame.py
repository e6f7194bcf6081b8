"""Records as a table of pandas, which is optional."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .packages import package


def frame(rows: Iterable[Mapping[str, Any]]) -> Any:
    """A pandas DataFrame with a row for each record; what is nested has dotted columns.

    Raises UserError without pandas.
    """
    pandas = package("pandas", "to_frame", "pandas")
    return pandas.json_normalize([dict(row) for row in rows])
