"""Records as a table of pandas, which is optional."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .errors import UserError


def frame(rows: Iterable[Mapping[str, Any]]) -> Any:
    """A pandas DataFrame with a row for each record; what is nested has dotted columns.

    Raises UserError without pandas.
    """
    try:
        import pandas
    except ImportError as error:
        raise UserError(
            "to_frame",
            expected="pandas in this environment",
            got=str(error),
            change="pip install pandas",
        ) from error
    return pandas.json_normalize([dict(row) for row in rows])
