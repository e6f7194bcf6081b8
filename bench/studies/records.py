"""Records of runs on disk, one JSON line each, appended as they come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from ...backend.errors import UserError
from .training import Experiment, Record, Setting, measure


def read_records(path: Path) -> list[Record]:
    """The records of a file; none if there is no file. Raises UserError for other content."""
    if not path.exists():
        return []
    try:
        return [Record(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"records {path}",
            expected="one JSON object per line, as `weft bench training --records` writes them",
            got=str(error),
            change="give another path, or remove the file",
        ) from error


def measure_missing(
    experiment: Experiment, chosen: Iterable[Setting], path: Path
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
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record), allow_nan=False) + "\n")
        yield record
