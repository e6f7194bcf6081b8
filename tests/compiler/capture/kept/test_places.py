"""Where a model keeps what may go from one call to the next."""

from __future__ import annotations

from collections import deque

from torch import nn
from weft.compiler.capture.kept.places import places

COUNT = [0]


class Line:
    __slots__ = ("items",)

    def __init__(self):
        self.items = deque([1])


class Counter:
    total = 0

    def __init__(self):
        self.line, self.pair = Line(), ([2], "name")


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.own, self.counter = 3, Counter()

    def forward(self, x, seen={"n": 4}):  # noqa: B006 - it is looked for
        COUNT[0] += 1
        return x


def closed_over():
    calls = 5

    def loss(prediction, target):
        nonlocal calls
        calls += 1
        return prediction

    return loss


def test_every_kind_of_place_is_found_read_and_written():
    found = {place.name: place for place in places(Model(), closed_over())}
    expected = {
        "own": 3,
        "counter.line.items.0": 1,
        "counter.pair.0.0": 2,
        "Counter.total": 0,
        "COUNT.0": 0,
        "forward.0.n": 4,
        "calls": 5,
    }
    assert {name: found[name].get() for name in expected} == expected
    for name, value in expected.items():
        found[name].set(value + 10)
        assert found[name].get() == value + 10
        found[name].set(value)
    assert found["counter.pair.0"].is_fixed


def test_one_name_is_told_from_another():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    first.n = second.n = 1
    names = [place.name for place in places(nn.Sequential(first, second))]
    assert {"0.n", "1.n"} <= set(names)
    assert len(names) == len(set(names))
