"""Intervals from errors: against a slow loop, and against worlds whose errors are known."""

import math

import numpy as np
import pytest
from helpers.evidence_rows import row
from scipy import stats
from weft.compiler.plan.evidence import Calibration
from weft.compiler.plan.evidence.mechanisms import (
    COLLECTIVE,
    EXCHANGE,
    HOST,
    STREAM,
    WRITTEN_PASS,
    WRITTEN_PRODUCT,
)

KNOWN = (COLLECTIVE, EXCHANGE, WRITTEN_PASS, WRITTEN_PRODUCT)
NOTHING = frozenset()


def world(seed, sets, between=0.01, within=0.02):
    """Rows of sets that are off by a bias of their own and by noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for name in range(sets):
        bias, size = rng.normal(0, between), int(rng.integers(5, 40))
        first, second = rng.choice(KNOWN, 2, replace=False)
        for _ in range(size):
            share = rng.uniform()
            terms = {str(first): share, str(second): 1 - share}
            rows.append(row(f"s{name}", bias + rng.normal(0, within), terms))
    return tuple(rows)


def slow_quantile(rows):
    """The same definition, row by row."""
    names = list(dict.fromkeys(r.set_name for r in rows))

    def support(mechanism, left_out):
        shares = {}
        for r in rows:
            if r.set_name not in left_out:
                most = max(shares.get(r.set_name, 0.0), r.terms.get(mechanism, 0.0))
                shares[r.set_name] = most
        return sum(shares.values())

    def score(r, left_out):
        scale = 0.0
        for mechanism, share in r.terms.items():
            sets = support(mechanism, left_out)
            times = stats.t.ppf(0.95, sets) / stats.norm.ppf(0.95) if sets else math.inf
            scale += share * min(5.0, times)
        return abs(math.log(r.measured / r.held_out)) / scale

    def scores(left_out):
        return [score(r, {*left_out, r.set_name}) for r in rows if r.set_name not in left_out]

    inner = {name: sorted(scores({name})) for name in names}
    own = {name: [score(r, {name}) for r in rows if r.set_name == name] for name in names}
    for level in np.linspace(0.80, 1.0, 41):
        limits = {name: np.quantile(inner[name], level, method="higher") for name in names}
        if sum(s <= limits[name] for name in names for s in own[name]) >= 0.9 * len(rows):
            return float(np.quantile(scores(set()), level, method="higher"))
    return max(scores(set()))


@pytest.mark.parametrize("seed", range(3))
def test_the_quantile_is_that_of_the_slow_loop(seed):
    rows = world(seed, 5)
    assert Calibration(rows).quantile == pytest.approx(slow_quantile(rows), rel=1e-9)


def test_a_new_set_is_covered_nine_times_in_ten():
    covered = total = 0
    for seed in range(60):
        rows = world(seed, 13)
        known = Calibration(tuple(r for r in rows if r.set_name != "s0"))
        new = [r for r in rows if r.set_name == "s0"]
        covered += sum(known.covers(r) for r in new)
        total += len(new)
    assert 0.87 < covered / total < 0.95


def test_intervals_grow_with_the_errors():
    widths = []
    for within in (0.01, 0.02, 0.04):
        known = Calibration(world(1, 12, 0.0, within))
        low, high = known.interval({COLLECTIVE: 1.0}, "wse3", NOTHING)
        assert low == pytest.approx(1 / high)
        widths.append(math.log(high))
    assert widths[1] / widths[0] == pytest.approx(2, rel=1e-6)
    assert widths[2] / widths[0] == pytest.approx(4, rel=1e-6)


def test_what_few_sets_measured_is_less_sure():
    known = Calibration(world(2, 12))
    often = known.scale({COLLECTIVE: 1.0}, "wse3", NOTHING)
    related = known.scale({COLLECTIVE: 1.0}, "wse2", NOTHING)
    never = known.scale({STREAM: 1.0}, "wse3", NOTHING)
    assumed = known.scale({STREAM: 1.0}, "wse3", frozenset({STREAM}))
    assert 1 < often < related < never == 5.0 < assumed == 10.0
    assert known.scale({COLLECTIVE: 1.0}, "wormhole", NOTHING) == 5.0
    half = known.scale({COLLECTIVE: 0.5, HOST: 0.5}, "wse3", NOTHING)
    assert half == pytest.approx((often + 5.0) / 2)


def test_support_is_the_largest_share_in_each_set():
    rows = (
        row("a", 0.0, {COLLECTIVE: 0.2, EXCHANGE: 0.8}),
        row("a", 0.0, {COLLECTIVE: 0.6, EXCHANGE: 0.4}),
        row("b", 0.0, {COLLECTIVE: 1.0}, target="wse2"),
    )
    known = Calibration(rows)
    assert known.support(COLLECTIVE, "wse3") == pytest.approx(0.6 + 0.5)
    assert known.support(COLLECTIVE, "wse2") == pytest.approx(0.3 + 1.0)
    assert known.support(COLLECTIVE, "bow") == 0.0
    assert known.rows_of(EXCHANGE, "wse2") == rows[:2]
    assert known.rows_of(EXCHANGE, "bow") == ()


def test_no_rows_give_no_interval():
    assert Calibration(()).quantile == 0.0
