"""Colours and queues inside a region, by cases told apart by hand."""

from __future__ import annotations

import pytest
from weft.compiler.plan.resources import collective_colours, collective_queues
from weft.compiler.plan.stage_record import Rectangle


@pytest.mark.parametrize(
    ("height", "width", "slices", "colours", "queues"),
    [
        (1, 1, 1, 0, 0),  # one PE speaks to nobody
        (4, 1, 1, 6, 4),  # operands, a sum that takes two colours in turn, and one that runs beside
        (4, 1, 2, 6, 4),  # borders take those of the sum beside
        (1, 4, 1, 6, 4),  # turned
        (4, 4, 1, 7, 5),
    ],
)
def test_what_messages_take(height, width, slices, colours, queues) -> None:
    region = Rectangle(0, 0, height, width)
    assert collective_colours(region, slices) == colours
    assert collective_queues(region, slices) == queues
