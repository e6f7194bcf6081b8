"""Values that tell how a forward reads them, and decide the other way."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from contextlib import suppress

import pytest
import torch
from weft.compiler.witness.probes import Watch


def watched(read, value, turned=()):
    """What a function makes of a probe, and the watch."""
    watch = Watch(turned)
    probe = watch.number(value)
    watch.is_on = True
    return read(probe), watch


ARITHMETIC = {
    "of a number": lambda n: (n + 1) * 2 - n // 2 + n**2 % 5 - (-n),
    "with a number before it": lambda n: 0.5 * n + 1 / n + 7 // n + 2**n - 1,
    "of bits": lambda n: (n & 3) | (8 ^ n) << 1,
    "of a tensor": lambda n: torch.tensor([2.0]) * n + n,
    "in words": lambda n: f"{n} {n:03d} {n!r}",
}


@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic_is_that_of_the_number(name):
    read = ARITHMETIC[name]
    got, watch = watched(read, 6)
    assert got == read(6)
    assert watch.unfollowed is None


DECISIONS = {
    "compared": lambda n: n > 5,
    "behind arithmetic": lambda n: 0.5 * n + 7 == 10,
    "as a truth": lambda n: bool(n % 3),
    "with a limit": lambda n: min(1.0, n / 100) == 1.0,
    "among some": lambda n: n in (3, 7),
}


@pytest.mark.parametrize("name", DECISIONS)
def test_each_decision_can_come_out_the_other_way(name):
    read = DECISIONS[name]
    got, watch = watched(read, 6)
    assert got == read(6)
    assert watch.decisions
    last = list(watch.decisions)[-1]
    assert watched(read, 6, turned=[last])[0] != read(6)


@pytest.mark.parametrize(
    "read",
    [lambda n: n in {3, 7}, lambda n: {6: 1}[n], int, float, range, lambda n: [1] * 9 and [1][n]],
)
def test_what_cannot_be_followed_is_noted(read):
    watch = Watch()
    probe = watch.number(0)
    watch.is_on = True
    with suppress(KeyError, TypeError):
        read(probe)
    assert watch.unfollowed is not None


def test_filing_by_a_number_is_no_reading():
    def read(n, table={}):  # noqa: B006 - of this test
        table[n] = 1

    assert watched(read, 6)[1].unfollowed is None


@pytest.mark.parametrize(
    "value",
    [[1], {"a": 1}, {1}, deque([1], 3), OrderedDict(a=1), defaultdict(list, a=1)],
)
def test_a_container_tells_of_reads_and_not_of_writes(value):
    watch = Watch()
    probe = watch.container(value)
    assert probe == value
    assert isinstance(probe, type(value))
    watch.is_on = True
    probe.clear()
    assert watch.unfollowed is None
    assert len(probe) == 0
    assert watch.unfollowed is not None
    assert len(value) == 1


def test_nothing_can_be_drawn_from_an_iterator():
    watch = Watch()
    watch.is_on = True
    assert next(watch.iterator(), "nothing") == "nothing"
    assert watch.unfollowed is not None
