"""Curves equal a search over all arguments with the formulas as published."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from weft.compiler.place.contest.instance import ContestKernel
from weft.compiler.place.contest.sizing import critical_times, curve

_CONV = ContestKernel("conv", {"H": 5, "W": 4, "C": 6, "K": 7, "R": 3, "S": 3, "T": 2, "U": 2}, "a")
_BLOCK = ContestKernel("dblock", {"H": 2, "W": 1, "F": 8}, "b")


def _all(kernel: ContestKernel) -> list[tuple[int, int, Fraction, int]]:
    """Height, width, time and memory of all choices of arguments."""
    parts = kernel.convolutions
    found = []
    H, W = parts[0].H, parts[0].W
    for h, w in itertools.product(range(1, H + 1), range(1, W + 1)):
        splits = itertools.product(*(range(1, n + 1) for part in parts for n in (part.C, part.K)))
        for split in splits:
            height = width = memory = 0
            time = Fraction(0)
            for part, c, k in zip(parts, split[::2], split[1::2], strict=True):
                height, width = max(height, h * w * (c + 1)), width + 3 * k
                steps = math.ceil(H / h) * math.ceil(W / w)
                steps *= math.ceil(part.C / c) * math.ceil(part.K / k)
                time = max(time, Fraction(steps * part.R * part.S, part.T**2))
                kept = Fraction(part.C, c) * part.R * part.S
                kept += Fraction(W + part.S - 1, w) * Fraction(H + part.R - 1, h)
                memory = max(memory, math.floor(kept * Fraction(part.K, k)))
            found.append((height, width, time, memory))
    return found


@pytest.mark.parametrize(("kernel", "memory"), [(_CONV, 24576), (_CONV, 60), (_BLOCK, 20)])
def test_curves_are_exact(kernel: ContestKernel, memory: int) -> None:
    choices = _all(kernel)
    times = critical_times([kernel], 1.0, 400.0)
    attained = {float(time) for _, _, time, _ in choices if 1 <= time <= 400}
    assert attained <= set(times)
    for limit in times[:: max(1, len(times) // 8)]:
        found = curve(kernel, float(limit), memory, 60, 50)
        for width in range(1, 61):
            sides = [
                side
                for height, wide, time, words in choices
                if time <= limit and words <= memory
                for side in ((wide, height), (height, wide))
                if side[0] <= width and side[1] <= 50
            ]
            least = min((high for _, high in sides), default=16000)
            assert found[width] == least


def test_curves_fall_with_time() -> None:
    curves = [curve(_CONV, limit, 24576, 60, 50) for limit in critical_times([_CONV], 1, 400)]
    assert all((np.diff(np.stack(curves), axis=0) <= 0).all(axis=1))
