"""The study of CIFAR-10: which runs there are, in which order, and how one is done."""

from __future__ import annotations

from pathlib import Path

from helpers.cifar_runs import records_of
from weft.bench.studies.cifar.recipe import BY_TORCH, METHODS
from weft.bench.studies.cifar.study import CifarStudy
from weft.bench.studies.training import SEQUENTIAL, RunSetting
from weft.runtime.data import Splits


def test_every_method_has_the_same_search_and_what_is_tested_is_its_best(images: Splits) -> None:
    study = CifarStudy(images, Path("nowhere"))
    search = study.search()
    wanted = search.settings({})
    assert wanted[:3] == [RunSetting(m, 1.0, 0) for m in (SEQUENTIAL, "sc+lwp", BY_TORCH)]
    assert len(wanted) == 3 + 9
    by_method = [
        [(s.factor, s.seed) for s in wanted[3:] if s.method == method] for method in METHODS
    ]
    assert by_method[0] == by_method[1] == by_method[2] == [(0.5, 100), (1.0, 100), (2.0, 100)]
    records = records_of(study, wanted)
    tested = search.settings({record.key: record for record in records})[12:]
    assert [(s.method, s.factor, s.seed) for s in tested if s.seed == 0] == [(SEQUENTIAL, 2.0, 0)]
    assert [s.factor for s in tested if s.seed == 2] == [1.0, 2.0, 1.0]
    assert {s.part for s in tested} == {"test"}
    assert study.epochs_of(tested[0]) == 5
    assert study.epochs_of(wanted[3]) == 1
