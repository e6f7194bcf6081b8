"""Placing contest instances: scores beside those published, for instances that lie somewhere."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ..compiler.place.contest import bounds, place_instance, read_instance, solution_text
from ..study.contest_score import score


@dataclass(frozen=True)
class PlacedCase:
    """One instance; `published` is the better sum of weighted time and distance, if known."""

    name: str
    kernels: int
    time: float
    distance: float
    adapters: int
    total: float
    time_and_distance: float
    published: float | None
    least_total: float
    seconds: float
    processor_seconds: float

    @property
    def change(self) -> float | None:
        """Weighted time and distance against the published ones, as a share."""
        return None if self.published is None else self.time_and_distance / self.published - 1


def measure(
    folder: Path, cases: list[str], seconds: float | None, rounds: int | None, seed: int
) -> Iterator[PlacedCase]:
    """Place every .kgraph file of a folder; `scores.csv` beside them has the published scores."""
    published = _published(folder / "scores.csv")
    for path in sorted(folder.glob("*.kgraph")):
        if not cases or path.stem in cases:
            yield _case(path, published.get(path.stem), seconds, rounds, seed)


def _case(
    path: Path, row: dict[str, str] | None, seconds: float | None, rounds: int | None, seed: int
) -> PlacedCase:
    instance = read_instance(path)
    began, processor = time.perf_counter(), time.process_time()
    text = solution_text(instance, place_instance(instance, seconds, rounds, seed))
    took, used = time.perf_counter() - began, time.process_time() - processor
    with TemporaryDirectory() as folder:
        solution = Path(folder) / "solution"
        solution.write_text(text)
        found = score(path, solution)
    weigh = (instance.time_weight, instance.wire_weight)
    both = weigh[0] * found.time + weigh[1] * found.distance
    best = None if row is None else _better(row, *weigh)
    least = bounds(instance).total
    return PlacedCase(
        path.stem, len(instance.kernels), found.time, found.distance, found.adapters, found.total,
        both, best, least, took, used,
    )  # fmt: skip


def _better(row: dict[str, str], time_weight: float, wire_weight: float) -> float:
    """Weighted time plus distance of the better of the two published placements."""
    return min(
        time_weight * float(row[f"{who}_C_time"]) + wire_weight * float(row[f"{who}_C_dist"])
        for who in ("first", "giga")
    )


def _published(path: Path) -> dict[str, dict[str, str]]:
    if not path.exists():
        return {}
    with path.open() as file:
        return {row["case"]: row for row in csv.DictReader(file)}
