"""Records of sparse training as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .evidence import Table, markdown
from .sparsity import DENSE
from .summary import Cell, Spread, cells
from .training import Record


def sparsity_table(records: Sequence[Record]) -> Table:
    """A row per method: test accuracy, its gap to dense in points, and the loss."""
    found = {method: cell for (method, _), cell in cells(records).items()}
    dense = found.get(DENSE)
    headers = ["weights zero", "algorithm", "accuracy, %", "points to dense", "loss, nats", "seeds"]
    return headers, [_row(method, cell, dense) for method, cell in found.items()]


def sparsity_page(records: Sequence[Record], planned: int) -> str:
    """The table in Markdown, with what was run and on what."""
    if not records:
        return "No runs yet.\n"
    left = planned - len(records)
    lines = [
        *([f"**Not finished: {left} of {planned} runs are missing.**\n"] if left else []),
        *dict.fromkeys(f"- {record.setup}" for record in records),
        f"- {records[0].epochs} epochs at batch size 1, pipelined, first delay"
        f" {records[0].first_delay} updates; mean ± standard deviation over the seeds",
        *dict.fromkeys(f"- {record.machine}" for record in records),
    ]
    return "\n".join([*lines, "", markdown(sparsity_table(records)), ""])


def _row(method: str, cell: Cell, dense: Cell | None) -> list[str]:
    algorithm, _, level = method.partition(" ")
    gap = math.nan if dense is None else 100 * (cell.accuracy.mean - dense.accuracy.mean)
    return [
        f"{100 * float(level or 0):g} %",
        algorithm,
        _spread(cell.accuracy, 100, 2) + (f" ({cell.diverged} diverged)" if cell.diverged else ""),
        "" if method == DENSE or math.isnan(gap) else f"{gap:+.2f}",
        _spread(cell.loss, 1, 3),
        str(cell.accuracy.count),
    ]


def _spread(spread: Spread, scale: float, digits: int) -> str:
    mean = f"{scale * spread.mean:.{digits}f}"
    if math.isnan(spread.deviation):
        return mean
    return f"{mean} ± {scale * spread.deviation:.{digits}f}"
