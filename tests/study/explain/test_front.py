"""Interval against area: what a plan's stages would need to be as fast as each other."""

import numpy as np
from helpers.explained_plan import PLAN, PRICING, STAGES, TARGET
from weft.study.explain import front_of
from weft.study.explain.text import front_text


def test_the_front_is_that_of_all_choices():
    """At every pace no stage has a smaller tiling that is fast enough."""
    front = front_of(PLAN, TARGET, "speed")
    sizes = [PRICING.stage_kernel(stage).sizes for stage in STAGES]
    for point in front.points:
        least = sum(
            int(of.areas[of.interval_cycles <= point.interval_cycles].min()) for of in sizes
        )
        assert point.pes == least
    intervals, areas = zip(*((p.interval_cycles, p.pes) for p in front.points), strict=True)
    assert np.all(np.diff(intervals) > 0)
    assert np.all(np.diff(areas) < 0)
    assert front.points[front.best].interval_cycles == min(intervals)
    best = front_of(PLAN, TARGET, "area")
    products = [p.area_time for p in best.points]
    assert best.points[best.best].area_time == min(products)
    assert "--objective area" in front_text(best)
