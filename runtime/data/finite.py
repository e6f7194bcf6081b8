"""Numbers that no training could use are refused before the first sample."""

from __future__ import annotations

import numpy as np

from ...backend.errors import UserError


def check_finite(where: str, name: str, array: np.ndarray) -> None:
    """Raises UserError for an array (N, ...) with numbers that are not finite in float32."""
    if array.dtype.kind != "f" or not array.ndim:
        return
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(array.astype(np.float32, copy=False))
    if not bad.any():
        return
    rows = np.flatnonzero(bad.reshape(len(array), -1).any(1))
    raise UserError(
        where,
        expected=f"finite numbers in {name}, as float32 has them",
        got=f"{bad.sum():,} of {bad.size:,} are not; the first is in row {rows[0]:,}",
        change="drop those rows, or replace the numbers (numpy.nan_to_num)",
    )
