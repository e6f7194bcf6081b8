"""An explanation, and a front, as tables: for a terminal, and as rows for a page."""

from dataclasses import replace

from helpers.explained_plan import PLAN, STAGES, TARGET
from weft.compiler.mapping.pricing import Pricing
from weft.compiler.remap.new_map import new_map
from weft.study.explain.fall import fall_of
from weft.study.explain.text import verdict


def test_a_wafer_that_is_too_small_is_the_limit():
    """On 16 rows of PEs a tiling of more rows, which would be faster, does not fit. Where stages
    share regions, none has two."""
    small = replace(TARGET, grid=replace(TARGET.grid, rows=16, columns=16))
    pricing = Pricing(PLAN.stages, small, PLAN.training, regions_shared=True)
    plan = new_map(PLAN, small)
    fall = fall_of(plan.document.stages[0], STAGES[0], pricing)
    assert fall.fastest.is_beyond
    assert fall.fastest.tiling.height > 16
    assert fall.fastest.cycles < fall.own.cycles
    assert "without the wafer's limit" in verdict(fall)
