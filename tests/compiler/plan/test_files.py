"""The files of a plan directory, their hashes, and plan.yaml as a document."""

from __future__ import annotations

import re

import pytest
import weft
import yaml
from helpers.stored_plan import sparse_plan
from weft.backend.errors import PlanFileError
from weft.compiler.plan.document import PlanDocument
from weft.compiler.plan.files import accept, document_text, load_document


@pytest.fixture(scope="module")
def plan():
    return sparse_plan()


@pytest.fixture
def directory(plan, tmp_path):
    return plan.save(tmp_path / "plan")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("format: 4", "format: 999"),
        ("target: tiny_mesh", "target: [1]"),
        ("\nstages:", "\nstagess:"),
        ("format: 4", "{"),
    ],
)
def test_a_broken_document_is_refused_by_name(directory, old, new):
    path = directory / "plan.yaml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(PlanFileError, match=r"plan\.yaml"):
        load_document(directory, allow_edited=True)


def test_an_older_plan_is_refused_with_the_version_that_wrote_it(directory):
    path = directory / "plan.yaml"
    text = path.read_text().replace("format: 4", "format: 1", 1)
    path.write_text(re.sub("weft_version: .*", "weft_version: 0.0.9", text, count=1))
    accept(directory)
    with pytest.raises(PlanFileError) as refused:
        weft.load(directory)
    assert refused.value.expected == "plan format 4"
    assert refused.value.got == "format 1, written by weft 0.0.9"
    assert refused.value.change == "compile the model again with this version of weft"


def test_a_line_for_each_record(document: PlanDocument) -> None:
    data = yaml.safe_load(document_text(document))
    header, *lines = data["edges"].splitlines()
    assert header.split()[:2] == ["source", "sink"]
    assert len(lines) == len(document.edges)
    assert [line.split()[0] for line in lines] == [str(edge.source) for edge in document.edges]
