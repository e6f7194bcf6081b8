"""How often error bars were right: each set of measurements left out in turn."""

import json
from dataclasses import asdict, replace

from weft.compiler.plan.evidence import coverage, evidence_rows


def test_their_error_bars_hold_what_is_promised():
    found = {of.set_name: of for of in coverage(evidence_rows())}
    assert all(of.passed for of in found.values())
    whole = found["all"]
    assert whole.rows == sum(of.rows for name, of in found.items() if name != "all") > 350
    assert 0.85 <= whole.share <= 0.95
    assert whole.half_width <= 0.08


def test_a_set_that_is_far_off_is_not_covered():
    rows = [
        replace(row, held_out=1.3 * row.held_out) if row.set_name == "gemm" else row
        for row in evidence_rows()
    ]
    found = {of.set_name: of for of in coverage(rows)}
    assert not found["gemm"].passed
    assert found["gemm"].share < 0.1


def test_coverage_is_plain_data():
    assert json.loads(json.dumps([asdict(of) for of in coverage(evidence_rows())]))
