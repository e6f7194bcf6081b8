"""Settings of runs on a few made images, and what stops one."""

from __future__ import annotations

from pathlib import Path

from weft.bench.studies.cifar.kept import RunOutcome
from weft.bench.studies.cifar.recipe import BY_TORCH
from weft.bench.studies.cifar.study import CifarStudy
from weft.bench.studies.training import SEQUENTIAL, Record, RunSetting

TORCH, WEFT = RunSetting(BY_TORCH, 1.0, 3, "validation"), RunSetting("sc+lwp", 100.0, 3)


class StoppedError(Exception):
    """The process was killed."""


def made_run(folder: Path) -> Path:
    folder.mkdir()
    return folder


LOSSES = {BY_TORCH: {0.5: 1.2, 1.0: 1.1, 2.0: 1.3}, SEQUENTIAL: {0.5: 1.3, 1.0: 1.2, 2.0: 1.0}}


def records_of(study: CifarStudy, settings: list[RunSetting]) -> list[Record]:
    found = []
    for s in settings:
        loss = LOSSES.get(s.method, LOSSES[BY_TORCH])[s.factor]
        made = RunOutcome(10, 0.8 + s.seed / 100 - 0.1 * (s.method == SEQUENTIAL), loss, 0.05, 66)
        found.append(study._record(s, made))
    return found
