"""The same search for every method: rates are chosen on validation data, then seeds are tested."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Protocol

from .records import read_records
from .training import Experiment, Record, RunSetting, measure

FoundRecords = Mapping[tuple[object, ...], Record]
RunSettings = Callable[[Iterator[RunSetting]], Iterator[Record]]


class Searched(Protocol):
    """What a search needs of an experiment; `validation` is what rates are chosen on, or None."""

    @property
    def name(self) -> str: ...

    @property
    def setup(self) -> str: ...

    @property
    def epochs(self) -> int: ...

    @property
    def rate(self) -> float: ...

    @property
    def methods(self) -> tuple[str, ...]: ...

    @property
    def validation(self) -> object: ...

    def key(self, setting: RunSetting) -> tuple[object, ...]: ...


@dataclass(frozen=True)
class Search:
    """Every method is run at each factor of the usual rate with each of `search_seeds`; at the one
    whose mean validation loss is least it is run with each of `seeds` and tested.

    The runs `first` are made before that, at rates that no search has chosen.
    Raises ValueError for an experiment without validation data.
    """

    experiment: Searched
    factors: tuple[float, ...]
    search_seeds: tuple[int, ...]
    seeds: tuple[int, ...]
    first: tuple[RunSetting, ...] = ()

    def __post_init__(self) -> None:
        if self.experiment.validation is None:
            raise ValueError(f"{self.experiment.name} has no validation data")

    @property
    def runs(self) -> int:
        """How many runs it takes, without those that are `first`."""
        each = len(self.factors) * len(self.search_seeds) + len(self.seeds)
        return each * len(self.experiment.methods)

    def searching(self, method: str) -> list[RunSetting]:
        """The runs that choose a method's rate."""
        return [
            RunSetting(method, factor, seed, "validation")
            for seed in self.search_seeds
            for factor in self.factors
        ]

    def chosen_factor(self, method: str, found: FoundRecords) -> float | None:
        """That of the least mean validation loss; None while a run is missing, or if all failed."""
        own = [found.get(self.experiment.key(setting)) for setting in self.searching(method)]
        records = [record for record in own if record is not None]
        if len(records) < len(own):
            return None
        losses = {
            factor: fmean(_loss(record) for record in records if record.factor == factor)
            for factor in self.factors
        }
        best = min(self.factors, key=losses.__getitem__)
        return best if math.isfinite(losses[best]) else None

    def settings(self, found: FoundRecords) -> list[RunSetting]:
        """All runs that are known to be needed, given those that are there, each once."""
        methods = self.experiment.methods
        wanted = [setting for method in methods for setting in self.searching(method)]
        chosen = {method: self.chosen_factor(method, found) for method in methods}
        tested = [
            RunSetting(method, factor, seed)
            for seed in self.seeds
            for method, factor in chosen.items()
            if factor is not None
        ]
        return list(dict.fromkeys([*self.first, *wanted, *tested]))

    def records(self, found: FoundRecords) -> list[Record]:
        """Those of its runs that are there."""
        keys = (self.experiment.key(setting) for setting in self.settings(found))
        return [found[key] for key in keys if key in found]


def measure_search(
    search: Search, path: Path, limit_s: float | None = None, run: RunSettings | None = None
) -> Iterator[list[Record]]:
    """All records so far, first those that a former run left in the file, then after each new one.

    With `limit_s` no run is begun after so many seconds. `run` does them; by default `measure`.
    """
    began = time.monotonic()
    found = {record.key: record for record in read_records(path)}
    path.touch()  # fails now, not after the first run
    yield search.records(found)

    def missing() -> Iterator[RunSetting]:
        while limit_s is None or time.monotonic() - began < limit_s:
            wanted = search.settings(found)
            left = [s for s in wanted if search.experiment.key(s) not in found]
            if not left:
                return
            yield left[0]

    for record in (run or _measured(search))(missing()):
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record), allow_nan=False) + "\n")
        found[record.key] = record
        yield search.records(found)


def _measured(search: Search) -> RunSettings:
    experiment = search.experiment
    assert isinstance(experiment, Experiment)
    return lambda chosen: measure(experiment, chosen)


def _loss(record: Record) -> float:
    return math.inf if record.loss is None or record.diverged else record.loss
