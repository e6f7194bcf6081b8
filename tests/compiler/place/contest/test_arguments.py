"""Execution arguments for a rectangle, against all arguments one by one."""

from __future__ import annotations

import itertools

from weft.compiler.place.contest.arguments import Arguments, exact_options, time_of
from weft.compiler.place.contest.instance import ContestKernel


def test_exact_options_fill_the_rectangle_and_leave_none_out() -> None:
    kernel = ContestKernel("conv", {"H": 3, "W": 2, "C": 4, "K": 5, "R": 1, "S": 1, "T": 1, "U": 1},
                           "a")  # fmt: skip
    for width, height in itertools.product(range(1, 16), range(1, 16)):
        found = exact_options(kernel, 30.0, 1000, width, height)
        sizes = set()
        for one, turned in found:
            assert time_of(kernel, one) <= 30
            sides = (3 * one.k[0], one.h * one.w * (one.c[0] + 1))
            assert (sides[::-1] if turned else sides) == (width, height)
            sizes.add(turned)
        for turned, (wide, high) in ((False, (width, height)), (True, (height, width))):
            there = any(
                time_of(kernel, Arguments(h, w, (c,), (k,))) <= 30
                for h, w, c, k in itertools.product(*(range(1, n + 1) for n in (3, 2, 4, 5)))
                if (3 * k, h * w * (c + 1)) == (wide, high)
            )
            assert there == (turned in sizes)
