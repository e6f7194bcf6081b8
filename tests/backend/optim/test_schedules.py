"""Learning rates as functions of the number of updates done."""

from __future__ import annotations

import math

import pytest
from weft.optim import Constant, Cosine, LinearWarmup, MultiStep


def test_schedules() -> None:
    assert Constant(0.1)(10**6) == 0.1
    steps = MultiStep(1.0, (10, 20), 0.5)
    assert [steps(update) for update in (0, 9, 10, 19, 20, 99)] == [1, 1, 0.5, 0.5, 0.25, 0.25]
    cosine = Cosine(1.0, 100, 0.1)
    assert [cosine(update) for update in (0, 50, 100, 500)] == pytest.approx([1, 0.55, 0.1, 0.1])
    warm = LinearWarmup(4, cosine)
    assert [warm(u) for u in range(4)] == pytest.approx([cosine(4) * k / 4 for k in (1, 2, 3, 4)])
    assert warm(50) == cosine(50)
    assert math.isclose(warm(3), warm(4))
