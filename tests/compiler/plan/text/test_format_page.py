"""docs/plan-format.md says what the dataclasses say, about every field."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from weft.compiler.plan.codec import to_data
from weft.compiler.plan.document import PlanDocument
from weft.compiler.plan.text.format_page import page, records, rows

PAGE = Path(__file__).parents[4] / "docs" / "plan-format.md"
NUMBERS = {"int", "float", "[int, int]", "list of int", "list of float", "list of [int, int]"}


def test_the_committed_page_is_the_generated_one() -> None:
    assert PAGE.read_text() == page(), "run: make docs"


@pytest.mark.parametrize("kind", records())
def test_every_field_has_a_meaning_and_every_number_a_unit(kind: type) -> None:
    for row in rows(kind):
        assert row.meaning.endswith("."), row
        assert bool(row.unit) == (row.kind in NUMBERS), row


def test_every_record_of_a_plan_is_on_the_page(document: PlanDocument) -> None:
    names = {frozenset(field.name for field in dataclasses.fields(kind)) for kind in records()}
    for found in _mappings(to_data(dataclasses.replace(document, recipe={}, files={}))):
        assert frozenset(found) in names


def _mappings(data: object) -> list[dict[str, object]]:
    if isinstance(data, dict):
        return [found for value in data.values() for found in _mappings(value)] + [data] * bool(
            data
        )
    return [found for item in data for found in _mappings(item)] if isinstance(data, list) else []
