"""Records of sparse training as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .evidence import TableText, markdown
from .paired import Paired, paired
from .sparsity import DENSE
from .summary import Cell, Spread, cells
from .training import Record

_PAIRED = (
    "Accuracy of one method less that of another with the same seed; p is that of the two-sided"
    " sign-flip test."
)


def sparsity_table(records: Sequence[Record]) -> TableText:
    """A row per method: test accuracy, its gap to dense in points, and the loss."""
    found = {method: cell for (method, _), cell in cells(records).items()}
    dense = found.get(DENSE)
    headers = ["weights zero", "algorithm", "accuracy, %", "points to dense", "loss, nats", "seeds"]
    return headers, [_row(method, cell, dense) for method, cell in found.items()]


def paired_table(records: Sequence[Record]) -> TableText:
    """Every sparse method less dense, and set and rigl less static at their level, by seed."""
    methods = list(dict.fromkeys(record.method for record in records))
    static = [name for name in methods if name.startswith("static ")]
    pairs = [(m, DENSE) for m in methods if m != DENSE and DENSE in methods]
    pairs += [(m, s) for s in static for m in methods if m != s and _level(m) == _level(s)]
    headers = ["method", "less", "points", "standard error", "better / equal / worse", "p", "seeds"]
    found = ((*pair, paired(records, *pair)) for pair in pairs)
    return headers, [_paired_row(*each) for each in found if each[-1].seeds]


def _paired_row(method: str, other: str, found: Paired) -> list[str]:
    return [
        method,
        other,
        f"{100 * found.mean:+.2f}",
        "" if math.isnan(found.error) else f"{100 * found.error:.2f}",
        f"{found.better} / {found.equal} / {found.worse}",
        "" if math.isnan(found.chance) else f"{found.chance:.2f}",
        ", ".join(map(str, found.seeds)),
    ]


def _level(method: str) -> str:
    return method.partition(" ")[2]


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
    tables = [markdown(table(records)) for table in (sparsity_table, paired_table)]
    return "\n".join([*lines, "", tables[0], "", _PAIRED, "", tables[1], ""])


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
