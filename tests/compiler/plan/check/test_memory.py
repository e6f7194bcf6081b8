"""Rules about bytes per PE: sums, capacity, and what each class must at least hold."""

from __future__ import annotations

from dataclasses import replace

from helpers.reversible_plan import reversible_plan
from weft.compiler.plan.check import check


def test_rebuilt_bytes_are_derived_again() -> None:
    plan = reversible_plan()
    edges = plan.document.edges
    number = next(n for n, edge in enumerate(edges) if edge.rebuilt_bytes)
    less = replace(edges[number], rebuilt_bytes=0)
    broken = replace(plan.document, edges=(*edges[:number], less, *edges[number + 1 :]))
    assert "edge-bytes" in {v.rule for v in check(broken, None, plan.programs)}
