"""Regions in plan.yaml: each once, named where stages use them; what does not fit is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from weft.compiler.plan.codec import DataError, from_data
from weft.compiler.plan.document import PlanDocument
from weft.compiler.plan.files import document_text
from weft.compiler.plan.text.regions import unfold_plan


def _shared(document: PlanDocument) -> PlanDocument:
    """The last stage on the region of the first."""
    first, last = document.stages[0], document.stages[-1]
    use = replace(last.uses[0], region=first.uses[0].region)
    return replace(document, stages=(*document.stages[:-1], replace(last, uses=(use,))))


def test_a_region_of_two_stages_is_written_once(document: PlanDocument) -> None:
    shared = _shared(document)
    data = yaml.safe_load(document_text(shared))
    header, *rows = data["regions"].splitlines()
    assert header.split()[:3] == ["id", "row", "column"]
    assert [row.split()[0] for row in rows] == ["r0", "r1", "r2"]
    assert from_data(PlanDocument, unfold_plan(data)) == shared
    assert [region.id for region in shared.regions] == ["r0", "r1", "r2"]


def test_every_field_of_a_region_is_read_as_it_was_written(document: PlanDocument) -> None:
    first, *others = document.stages
    use = replace(first.uses[0], region=replace(first.uses[0].region, turned=True))
    turned = replace(document, stages=(replace(first, uses=(use, *first.uses[1:])), *others))
    assert from_data(PlanDocument, unfold_plan(yaml.safe_load(document_text(turned)))) == turned


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        (lambda text: text.replace("r1 ", "r9 "), r"stages\[1\]\.uses\[0\]\.region: .* got 'r1'"),
        (lambda text: text.replace("r1 ", "r0 "), r"regions: r0 twice"),
        (lambda text: text + text.splitlines()[1].replace("r0 ", "r7 "), r"no stage uses r7"),
        (
            lambda text: text.replace("groups", "group"),
            r"regions\[0\]: expected the fields id ",
        ),
        (lambda text: 7, r"regions: expected a table, got int"),
    ],
)
def test_a_region_that_does_not_fit_is_refused(document, change, mistake) -> None:
    data = yaml.safe_load(document_text(document))
    data["regions"] = change(data["regions"])
    with pytest.raises(DataError, match=mistake):
        unfold_plan(data)


def test_a_plan_without_regions_is_refused(document: PlanDocument) -> None:
    data = yaml.safe_load(document_text(document))
    del data["regions"]
    with pytest.raises(DataError):
        from_data(PlanDocument, unfold_plan(data))


def test_a_stage_without_a_region_is_refused(document: PlanDocument) -> None:
    with pytest.raises(ValueError, match="region"):
        replace(document.stages[0], uses=())
