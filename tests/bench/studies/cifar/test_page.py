"""The page of the study of CIFAR-10."""

from __future__ import annotations

from pathlib import Path

from helpers.cifar_runs import records_of
from weft.bench.studies.cifar.page import cifar_page, usual_table
from weft.bench.studies.cifar.study import CifarStudy
from weft.runtime.data import Splits


def test_the_page_says_what_is_missing_and_pairs_seeds(images: Splits) -> None:
    study = CifarStudy(images, Path("nowhere"))
    search = study.search()
    records = records_of(study, search.settings({}))
    page = cifar_page(search, records)
    assert "**Not finished: 7 of 18 runs are missing.**" in page  # two of them ran at first
    assert "## The usual rate" in page
    assert len(usual_table(records[:3])[1]) == 3
    records += records_of(study, search.settings({r.key: r for r in records})[len(records) :])
    page = cifar_page(search, records)
    assert "Not finished" not in page
    assert "- PB + sc+lwp less batch 1: +10.00 ± 0.00 (standard error) points" in page
    assert "- batch 1 less batch 128, BatchNorm: -10.00 ± 0.00" in page
    assert "| batch 1 | 1.300 | 1.200 | 1.000 | 0.2 | 71.00 ± 1.00 |" in page
