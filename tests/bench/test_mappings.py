"""Every kind of mapping: the fabric steps it, within 5 % of its price."""

from __future__ import annotations

import pytest
from weft.bench.mappings import KINDS, SteppedRow, measure


@pytest.fixture(scope="module")
def rows() -> list[SteppedRow]:
    return list(measure())


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_the_fabric_is_within_five_percent_of_the_price(rows: list[SteppedRow], kind: str) -> None:
    own = [row for row in rows if row.kind == kind]
    assert {row.phase for row in own} == {"forward", "backward"}
    for row in own:
        assert row.stepped_cycles == pytest.approx(row.priced_cycles, rel=0.05)


def test_what_stays_as_priced_is_named(rows: list[SteppedRow]) -> None:
    named = {row.kind for row in rows if row.as_priced}
    assert named == {"one region for tied weights", "vectors alike on all lines"}
