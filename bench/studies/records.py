"""Records of runs on disk, one JSON line each, appended as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from .kept import append_row, read_rows
from .training import Experiment, Record, RunSetting, measure


def read_records(path: Path) -> list[Record]:
    """The records of a file; none if there is no file. Raises UserError for other content."""
    return read_rows(path, Record)


def measure_missing(
    experiment: Experiment, chosen: Iterable[RunSetting], path: Path
) -> Iterator[Record]:
    """All records of the settings; those a former run left in the file are not run again."""
    known = {record.key: record for record in read_records(path)}
    path.touch()  # fails now, not after the first run
    missing = []
    for setting in chosen:
        found = known.get(experiment.key(setting))
        if found is None:
            missing.append(setting)
        else:
            yield found
    for record in measure(experiment, missing):
        append_row(path, record)
        yield record
