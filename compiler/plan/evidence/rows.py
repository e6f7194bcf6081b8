"""Measured numbers beside what was predicted, as they come with weft.

`rows.csv` is written by `weft validate --error-bars`. The tables of measurements themselves, with
all their columns, are those of sim/validation.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TextIO

_FILE = "rows.csv"
_WHOLE_RUNS = "training"
"""The set of runs of whole networks, which are no kernels."""
_COLUMNS = (
    *("set", "kernel", "quantity", "settings", "target", "kind", "unit"),
    *("measured", "predicted", "held_out", "terms"),
)


@dataclass(frozen=True)
class EvidenceRow:
    """One measured number.

    `predicted` is with the target's constants, `held_out` with those fitted without the row's set
    (where the set alone determines one of them: without this half of the set). `terms` are shares
    of the predicted cycles by mechanism.
    """

    set_name: str
    kernel: str
    quantity: str
    settings: str
    target: str
    kind: str
    unit: str
    measured: float
    predicted: float
    held_out: float
    terms: Mapping[str, float]

    @property
    def error(self) -> float:
        """Predicted over measured, less one."""
        return self.predicted / self.measured - 1

    @property
    def log_miss(self) -> float:
        """How much longer it took than was predicted without it, as a logarithm."""
        slower = math.log(self.measured / self.held_out)
        return slower if self.unit == "cycles" else -slower


@lru_cache(maxsize=1)
def evidence_rows() -> tuple[EvidenceRow, ...]:
    """All rows that come with weft."""
    text = resources.files(__package__ or "").joinpath(_FILE).read_text(encoding="utf-8")
    return tuple(map(_read, csv.DictReader(text.splitlines())))


def kernel_rows(target: str) -> tuple[EvidenceRow, ...]:
    """Those of kernels measured on one machine; perhaps none."""
    return tuple(
        row for row in evidence_rows() if row.target == target and row.set_name != _WHOLE_RUNS
    )


def _read(entry: Mapping[str, str]) -> EvidenceRow:
    pairs = (part.split("=", 1) for part in entry["terms"].split("; "))
    return EvidenceRow(
        set_name=entry["set"],
        **{name: entry[name] for name in _COLUMNS[1:7]},  # type: ignore[arg-type]
        measured=float(entry["measured"]),
        predicted=float(entry["predicted"]),
        held_out=float(entry["held_out"]),
        terms={name: float(share) for name, share in pairs},
    )


def write_rows(rows: Iterable[EvidenceRow], file: TextIO) -> None:
    """As `evidence_rows` reads them."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        shares = {name: f"{share:.3f}" for name, share in row.terms.items()}
        terms = "; ".join(f"{name}={share}" for name, share in shares.items() if float(share))
        texts = (row.set_name, row.kernel, row.quantity, row.settings, row.target, row.kind)
        numbers = (f"{value:.8g}" for value in (row.measured, row.predicted, row.held_out))
        writer.writerow((*texts, row.unit, *numbers, terms))
