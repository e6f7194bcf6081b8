"""What the measurements show beyond their numbers: orders and optima.

Compared are rows that differ in what the trend is about and in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from .report import MeasuredPoint, Trend

_STEP_TOLERANCE = 0.02


def trends(points: Sequence[MeasuredPoint]) -> tuple[Trend, ...]:
    """The trends whose rows are all there."""
    summa = _alike(points, "summa_overlapped", _side, "p", *_TILE)
    decode = _alike(points, "decode_layer", _model, "p", *_SLICES)
    sums = [line for line in _alike(points, "gemv_tree", _line, "groups") if len(line) > 1]
    longest = sorted(sums, key=lambda line: int(setting(line[0], "p")))[-1:]
    found = (
        *map(_decode_slows, decode),
        *map(_best_grid, summa),
        *map(_best_groups, longest),
        *map(_steps_scale, summa),
    )
    return tuple(trend for trend in found if trend is not None)


_TILE = ("tile_m", "tile_k", "tile_n")
_SLICES = ("dim_per_pe", "ffn_per_pe")


def _alike(
    points: Sequence[MeasuredPoint],
    kernel: str,
    same: Callable[[MeasuredPoint], object],
    *varied: str,
) -> list[list[MeasuredPoint]]:
    """Points of a kernel in groups that agree in `same` and in all settings but the `varied`."""
    groups: dict[object, list[MeasuredPoint]] = {}
    for point in points:
        if point.kernel == kernel:
            others = {k: v for k, v in _settings(point).items() if k not in varied}
            key = point.quantity, same(point), *sorted(others.items())
            groups.setdefault(key, []).append(point)
    return list(groups.values())


def _settings(point: MeasuredPoint) -> dict[str, str]:
    return dict(part.split("=", 1) for part in point.settings.split(" ") if "=" in part)


def setting(point: MeasuredPoint, name: str) -> str:
    """The value of one column of the point's row."""
    return _settings(point)[name]


def _side(point: MeasuredPoint) -> tuple[int, ...]:
    """Sides of the matrices of a product on p x p PEs."""
    return tuple(int(setting(point, "p")) * int(setting(point, name)) for name in _TILE)


def _model(point: MeasuredPoint) -> str:
    """The decoder's name; without one, slices of PEs do not say which rows are of the same."""
    return _settings(point).get("shape", point.settings)


def _line(point: MeasuredPoint) -> str:
    return setting(point, "p")


def _best(points: Sequence[MeasuredPoint], of: Callable[[MeasuredPoint], float], name: str) -> str:
    return setting(min(points, key=of), name)


def _measured(point: MeasuredPoint) -> float:
    return point.measured


def _simulated(point: MeasuredPoint) -> float:
    return point.simulated


def _decode_slows(points: list[MeasuredPoint]) -> Trend | None:
    """One token is bound by latency: more PEs take longer."""
    if len(points) < 2:
        return None
    orders = [
        " < ".join(f"p={setting(p, 'p')}" for p in sorted(points, key=of))
        for of in (_measured, _simulated)
    ]
    return Trend("decoding is slower on more PEs", *orders, passed=orders[0] == orders[1])


def _best_grid(points: list[MeasuredPoint]) -> Trend | None:
    """The same product on grids of different size."""
    if len(points) < 2:
        return None
    best = [_best(points, of, "p") for of in (_measured, _simulated)]
    name = f"best grid for a product of side {_side(points[0])[0]}"
    return Trend(name, f"p={best[0]}", f"p={best[1]}", passed=best[0] == best[1])


def _best_groups(line: list[MeasuredPoint]) -> Trend:
    """Groups of the two-level sum on the longest line measured with more than one choice."""
    best = [_best(line, of, "groups") for of in (_measured, _simulated)]
    texts = (f"{best[0]} groups", f"{best[1]} groups")
    name = f"best grouping of a sum over {setting(line[0], 'p')} PEs"
    return Trend(name, *texts, passed=best[0] == best[1])


def _steps_scale(points: list[MeasuredPoint]) -> Trend | None:
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
