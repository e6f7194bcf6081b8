"""Why a row of a user's table is not simulated: what is wrong with it, in one sentence."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Protocol

from ...backend.errors import UnknownNameError, UserError
from ...compiler.targets.target import Target
from .row import as_number
from .tables import BEYOND, TableRow

_UNIT, _CYCLES, _RATE = "unit", "cycles", "samples_per_s"
_SIDES = frozenset({"p", "pes", "grid_w", "grid_h"})
_SIZES = frozenset(
    {"dim", "ffn", "context", "kv", "seq", "seq_len", "layers", "repeats"}
    | {"n_rows", "k_cols", "vector_len", "words_f32"}
)
_SPEEDUP = "speedup_measured"
_UNITS = {_RATE: "samples/s", _SPEEDUP: "1"}
"""Of what is measured, where it is not cycles."""
_ASCENDING = "cycles_min", "cycles_avg", "cycles_max"
_LARGEST = 2**24
"""Of a tensor's axis: with two of them its bytes are still counted in 64 bits."""


class MeasuredKernel(Protocol):
    """What has rows: `measured` are the columns that are compared."""

    @property
    def measured(self) -> tuple[str, ...]: ...


def refusal(row: TableRow, kernels: Mapping[str, MeasuredKernel]) -> str | None:
    """A kernel that is not known, a unit that is not its own, or more cells than the header has;
    None if there is nothing of the kind."""
    return _unknown(row, kernels) or _wrong_unit(row, kernels[row.kernel]) or _too_long(row)


def too_large(row: TableRow, target: Target) -> str | None:
    """Why the sizes of a row are none of this machine: more PEs on a side than it has, more of a
    tile than a PE's memory has bytes, or a size that no tensor has."""
    for column, text in row.row.columns.items():
        most, what = _limit(column, target)
        value = as_number(text)
        if value is not None and value > most:
            return f"{row.row.where}, column {column}: expected at most {most:,}{what}, got {text}"
    return None


def _limit(column: str, target: Target) -> tuple[float, str]:
    if column in _SIDES:
        side = max(target.rows, target.columns)
        return side, f" PEs, the longest side of {target.name}"
    if column.startswith("tile") or column.endswith("_per_pe"):
        return target.sram.bytes_per_pe, f", the bytes of a PE of {target.name}"
    return (_LARGEST, "") if column in _SIZES else (math.inf, "")


def in_one_line(error: UserError) -> str:
    """A mistake as the reason against a row."""
    return f"{error.where}: expected {error.expected}, got {error.got}; {error.change}"


def _unknown(row: TableRow, kernels: Mapping[str, MeasuredKernel]) -> str | None:
    if row.kernel in kernels:
        return None
    error = UnknownNameError("kernel", row.kernel, kernels, "weft validate --json")
    return f"{row.row.where}: {in_one_line(error)}"


def _too_long(row: TableRow) -> str | None:
    beyond = row.row.columns.get(BEYOND)
    if beyond is None:
        return None
    return f"{row.row.where}: expected as many cells as the header has, got more: {beyond}"


def _wrong_unit(row: TableRow, kernel: MeasuredKernel) -> str | None:
    unit, measured = row.row.columns.get(_UNIT, ""), kernel.measured[0]
    expected = _UNITS.get(measured, _CYCLES)
    if unit in ("", expected):
        return None
    return f"{row.row.where}, column {_UNIT}: expected {expected}, got {unit}"


def repeated(rows: Sequence[TableRow], kernels: Mapping[str, MeasuredKernel]) -> dict[str, str]:
    """What is said about rows with the settings of another one, by their place: all are named if
    they disagree, else all but the first."""
    groups: dict[tuple[object, ...], list[TableRow]] = defaultdict(list)
    for row in rows:
        groups[_settings(row, kernels)].append(row)
    found: dict[str, str] = {}
    for group in groups.values():
        disagree = len({tuple(sorted(row.row.columns.items())) for row in group}) > 1
        for row in group if disagree else group[1:]:
            other = next(one for one in group if one is not row)
            verb = "disagrees with" if disagree else "repeats"
            found[row.row.where] = f"{row.row.where}: {verb} {other.row.where}"
    return found


def _settings(row: TableRow, kernels: Mapping[str, MeasuredKernel]) -> tuple[object, ...]:
    measured = kernels[row.kernel].measured
    columns = row.row.columns.items()
    own = ((key, text, as_number(text)) for key, text in columns if key not in measured)
    return tuple(sorted((k, text if number is None else f"{number:g}") for k, text, number in own))


def at_peak(target: Target) -> Target:
    """The machine without overheads: nothing takes time but arithmetic at its peak, the memory's
    ports and words on links. No program on the machine is faster."""
    kept = {"beat_bytes", "triggered"}
    free = {name: 0.0 for name in vars(target.software) if name not in kept}
    vector = replace(target.vector, **dict.fromkeys(vars(target.vector), 0.0))
    rates = {dtype: replace(rate, sustained_fraction=1.0) for dtype, rate in target.compute.items()}
    return replace(
        target,
        vector=vector,
        compute=rates,
        noc=replace(
            target.noc, collective_start_cycles=0, ramp_cycles=0, relay_cycles=0, issue_cycles=0
        ),
        sparsity=replace(target.sparsity, nonzero_cycles=0),
        software=replace(target.software, **free),
    )


def impossible(row: TableRow, quantity: str, measured: float, least: float) -> str | None:
    """Why a measured number of cycles cannot be: it is below what the machine needs at its peak."""
    if not quantity.startswith(_CYCLES) or measured >= least:
        return None
    return (
        f"{row.row.where}, column {quantity}: expected at least {least:,.0f} cycles, which the"
        f" machine needs at its peak, got {measured:g}; is it in another unit?"
    )


def too_fast(row: TableRow, rate: float, most: float) -> str | None:
    """Why a measured rate cannot be: all multiply-adds of the machine do not make so many."""
    if rate <= most:
        return None
    return (
        f"{row.row.where}, column {_RATE}: expected at most {most:,.0f}, the peak of the machine at"
        f" its highest clock, got {rate:g}"
    )


def contradiction(row: TableRow) -> str | None:
    """Why the numbers of a row cannot be true together: a speed-up above what its zeros leave of
    the work, or a least, average and most number of cycles in another order."""
    columns = row.row.columns
    sparsity, speedup = (as_number(columns.get(name, "")) for name in ("sparsity", _SPEEDUP))
    if sparsity is not None and 0 <= sparsity < 1 and speedup and speedup > 1 / (1 - sparsity):
        return (
            f"{row.row.where}, column {_SPEEDUP}: expected at most {1 / (1 - sparsity):.3g}, which"
            f" {sparsity:.0%} zeros leave of the work, got {speedup:g}"
        )
    given = [(name, as_number(columns.get(name, ""))) for name in _ASCENDING]
    for (name, value), (other, larger) in combinations(given, 2):
        if value is not None and larger is not None and value > larger:
            return f"{row.row.where}: expected {name} of at most {other}, got {value:g}, {larger:g}"
    return None
