"""Delayed SGDM on a convex quadratic: half-lives measured beside those of the roots."""

from __future__ import annotations

import pytest
from weft.bench.studies.quadratic import quadratic_rows


@pytest.mark.parametrize("method", ["none", "lwp", "sc+lwp_w"])
def test_measured_half_lives_are_those_of_the_roots(method: str) -> None:
    for row in quadratic_rows([10], [0, 1], [method]):
        assert row.measured == pytest.approx(row.by_roots, rel=0.03)


def test_half_lives_of_the_published_table() -> None:
    found = {row.method: row.by_roots for row in quadratic_rows([10], [1])}
    assert found["none"] == pytest.approx(7.28, rel=0.02)
    assert found["sc"] == pytest.approx(5.88, rel=0.02)
    assert found["lwp_w"] == pytest.approx(4.81, rel=0.02)
    assert found["sc+lwp_w"] == pytest.approx(3.97, rel=0.02)
