"""Plain data of dataclasses: nothing is converted, left out or filled in on the way."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import pytest
from weft.compiler.plan.codec import DataError, from_data, to_data


@dataclass(frozen=True)
class _Inner:
    count: int
    share: float


@dataclass(frozen=True)
class _Outer:
    inner: _Inner
    names: tuple[str, ...]
    corner: tuple[int, int]
    sizes: dict[str, int]
    anything: object
    flag: bool = False


GOOD: dict[str, Any] = {
    "inner": {"count": 10**30, "share": 0.1},
    "names": ["a", ""],
    "corner": [1, -2],
    "sizes": {"x": 1},
    "anything": {"y": [1, 2.5, None, True, "é"]},
    "flag": True,
}


def test_there_and_back() -> None:
    found = from_data(_Outer, GOOD)
    assert found.inner == _Inner(10**30, 0.1)
    assert (found.names, found.corner) == (("a", ""), (1, -2))
    assert json.dumps(to_data(found)) == json.dumps(GOOD)


@pytest.mark.parametrize("share", [math.inf, -math.inf, -0.0, 5e-324])
def test_floats_are_kept_to_the_bit(share: float) -> None:
    found = from_data(_Inner, to_data(_Inner(1, share)))
    assert found.share.hex() == share.hex()


def test_no_number_stays_no_number() -> None:
    assert math.isnan(from_data(_Inner, to_data(_Inner(1, math.nan))).share)


def test_a_whole_number_is_a_float() -> None:
    assert isinstance(from_data(_Inner, {"count": 1, "share": 1}).share, float)


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ({"inner": {"count": 1.0, "share": 0.1}}, r"_Outer\.inner\.count: expected .*, got 1\.0"),
        ({"inner": {"count": True, "share": 0.1}}, r"_Outer\.inner\.count: expected"),
        ({"inner": {"count": "1", "share": 0.1}}, r"_Outer\.inner\.count: expected"),
        ({"inner": {"count": 1, "share": "0.1"}}, r"_Outer\.inner\.share: expected"),
        ({"inner": {"count": 1, "share": True}}, r"_Outer\.inner\.share: expected"),
        ({"inner": {"count": 1}}, r"_Outer\.inner\.share: missing"),
        ({"inner": {"count": 1, "share": 0.1, "z": 0}}, r"_Outer\.inner: .*unknown \['z'\]"),
        ({"inner": None}, r"_Outer\.inner: expected"),
        ({"names": "ab"}, r"_Outer\.names: expected"),
        ({"names": ["a", 1]}, r"_Outer\.names\[1\]: expected"),
        ({"corner": [1]}, r"_Outer\.corner\[1\]: missing"),
        ({"corner": [1, 2, 3]}, r"_Outer\.corner: expected"),
        ({"sizes": {"x": "1"}}, r"_Outer\.sizes\.x: expected"),
        ({"flag": 1}, r"_Outer\.flag: expected"),
    ],
)
def test_other_data_are_refused_by_name(change: dict[str, Any], mistake: str) -> None:
    with pytest.raises(DataError, match=mistake):
        from_data(_Outer, GOOD | change)


def test_a_default_is_not_filled_in() -> None:
    data = {key: value for key, value in GOOD.items() if key != "flag"}
    with pytest.raises(DataError, match=r"missing fields \['flag'\]"):
        from_data(_Outer, data)
