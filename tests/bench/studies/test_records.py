"""Records of runs on disk, one JSON line each, appended as they come."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from weft.backend.errors import UserError
from weft.runtime.tick.job import Job

pytest.importorskip("jax")


from weft.bench.studies.records import measure_missing, read_records
from weft.bench.studies.training import Experiment, RunSetting, settings


def test_a_file_of_records_is_continued(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, made = tmp_path / "records.jsonl", []

    def counted(job: RunSetting) -> Job:
        made.append(job)
        return experiment.job(job)

    watched = replace(experiment, job=counted)
    chosen = settings(experiment.methods, [1.0], [0])
    first = list(measure_missing(watched, chosen[:1], path))
    assert read_records(path) == first
    both = list(measure_missing(watched, chosen, path))
    assert made == chosen
    assert sorted(r.method for r in both) == sorted(experiment.methods)
    assert read_records(path) == both
    other = replace(watched, setup="another perceptron")
    assert len(list(measure_missing(other, chosen[:1], path))) == 1
    assert len(read_records(path)) == 3


@pytest.mark.parametrize("content", ["not json", '{"method": "sc"}', "[1]"])
def test_other_files_are_no_records(tmp_path: Path, content: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match="records"):
        read_records(path)


def test_a_record_is_one_line_of_strict_json(experiment: Experiment, tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    (record,) = measure_missing(experiment, [RunSetting("sc", 1.0, 0)], path)
    (line,) = path.read_text().splitlines()
    assert json.loads(line) == asdict(record)
