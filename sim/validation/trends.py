"""What the measurements show beyond their numbers: orders and optima."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from .report import Point, Trend

_STEP_TOLERANCE = 0.02


def trends(points: Sequence[Point]) -> tuple[Trend, ...]:
    """The trends whose rows are all there."""
    found = (
        _decode_slows(_of(points, "decode_layer")),
        _best_grid(_of(points, "summa_overlapped")),
        _best_groups(_of(points, "gemv_tree")),
        _steps_scale(_of(points, "summa_overlapped")),
    )
    return tuple(trend for trend in found if trend is not None)


def _of(points: Sequence[Point], kernel: str) -> list[Point]:
    return [point for point in points if point.kernel == kernel]


def setting(point: Point, name: str) -> str:
    """The value of one column of the point's row."""
    return dict(part.split("=", 1) for part in point.settings.split(" "))[name]


def _best(points: Sequence[Point], of: Callable[[Point], float], name: str) -> str:
    return setting(min(points, key=of), name)


def _measured(point: Point) -> float:
    return point.measured


def _simulated(point: Point) -> float:
    return point.simulated


def _decode_slows(points: list[Point]) -> Trend | None:
    """One token is bound by latency: more PEs take longer."""
    if len(points) < 2:
        return None
    orders = [
        " < ".join(f"p={setting(p, 'p')}" for p in sorted(points, key=of))
        for of in (_measured, _simulated)
    ]
    return Trend("decoding is slower on more PEs", *orders, passed=orders[0] == orders[1])


def _best_grid(points: list[Point]) -> Trend | None:
    """The same product (p x tile is constant) on grids of different size."""
    sizes = {int(setting(p, "p")) * int(setting(p, "tile_m")) for p in points}
    if len(points) < 2 or len(sizes) != 1:
        return None
    best = [_best(points, of, "p") for of in (_measured, _simulated)]
    name = f"best grid for a product of side {sizes.pop()}"
    return Trend(name, f"p={best[0]}", f"p={best[1]}", passed=best[0] == best[1])


def _best_groups(points: list[Point]) -> Trend | None:
    """Groups of the two-level sum on the largest line measured with more than one choice."""
    line = [p for p in points if (setting(p, "p"), setting(p, "tile")) == ("80", "1")]
    if len(line) < 2:
        return None
    best = [_best(line, of, "groups") for of in (_measured, _simulated)]
    texts = (f"{best[0]} groups", f"{best[1]} groups")
    return Trend("best grouping of a sum over 80 PEs", *texts, passed=best[0] == best[1])


def _steps_scale(points: list[Point]) -> Trend | None:
    """Cycles per step less what the tile's arithmetic adds must not grow with p.

    Two rows whose tiles differ by one element in each axis bound it: the smaller tile, on more PEs,
    must not cost more per step.
    """
    if len(points) < 2:
        return None
    ordered = sorted(points, key=lambda p: int(setting(p, "p")))
    texts, falls = [], []
    for of in (_measured, _simulated):
        steps = [of(p) / int(setting(p, "p")) for p in ordered]
        texts.append(", ".join(f"{step:.0f}" for step in steps))
        falls.append(all(b <= a * (1 + _STEP_TOLERANCE) for a, b in pairwise(steps)))
    return Trend("cycles per SUMMA step do not grow with p", *texts, passed=all(falls))
