"""Wafers of stages in order, where some share a region: against all places that it may have."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from helpers import plans
from weft.compiler.plan.check import RULES, Subject
from weft.compiler.plan.document import PlanDocument

STAGES, WAFERS = 5, 3


def on_wafers(wafers: tuple[int, ...], together: tuple[int, ...]) -> PlanDocument:
    """A chain whose stages lie on these wafers; some of them `together` where the first lies."""
    chain = plans.sharing(plans.chain([(1, 1, 1)] * STAGES), *together)
    stages = []
    for number, stage in enumerate(chain.stages):
        wafer = wafers[together[0] if number in together else number]
        stages.append(plans.moved(stage, replace(stage.region, wafer=wafer)))
    used = len({stage.region.wafer for stage in stages})
    totals = replace(chain.totals, wafers_used=used)
    return replace(chain, wafers=WAFERS, stages=tuple(stages), totals=totals)


def is_in_order(wafers: list[int]) -> bool:
    """From wafer 0 on, none left out and none entered again."""
    steps = [b - a for a, b in zip([0, *wafers], wafers, strict=False)]
    return all(step in (0, 1) for step in steps) and wafers[0] == 0


@pytest.mark.parametrize("together", [(0, 4), (1, 3), (0, 2, 4), (3, 4), (2,)])
def test_a_region_of_several_stages_lies_at_the_place_of_any_of_them(together) -> None:
    for wafers in product(range(WAFERS), repeat=STAGES):
        orders = [
            [wafers[together[0]] if n == member else wafers[n]
             for n in range(STAGES) if n == member or n not in together]
            for member in together
        ]  # fmt: skip
        subject = Subject(on_wafers(wafers, together), None, {})
        found = list(RULES["wafers-in-order"](subject))
        assert (not found) == any(map(is_in_order, orders)), wafers
