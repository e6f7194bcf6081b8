"""Points of a sweep as pictures: two figures against each other, and all that varies on parallel
axes. What nothing beats is drawn last, in colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...compiler.plan.picture.svg import axis, picture, text, tooltip
from .scale import Scale

_SAID = {
    "throughput_samples_per_s": "samples/s",
    "interval_cycles": "cycles between samples",
    "latency_s": "latency, s",
    "pes": "PEs",
    "memory_share": "share of memory",
}
"""What a figure is called on an axis."""

_WIDTH, _HEIGHT = 860.0, 420.0
_LEFT, _RIGHT, _TOP, _FOOT = 76.0, 34.0, 14.0, 46.0
_ACROSS, _DOWN, _HEAD = 1180.0, 380.0, 54.0
_SIDE = 90.0
_LINES = 600
"""Lines on parallel axes beside those that nothing beats; of more, every n-th."""


@dataclass(frozen=True)
class Drawn:
    """A point: values by the names of scales, what is said of it, whether nothing beats it."""

    values: Mapping[str, Any]
    title: str
    is_best: bool


def said_of(name: str) -> str:
    """A figure's or a key's name for readers."""
    return _SAID.get(name, name)


def scatter_svg(points: Sequence[Drawn], across: Scale, up: Scale) -> str:
    """Dots at two of their values, and a line through those that nothing beats."""
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _FOOT

    def place(point: Drawn) -> tuple[float, float]:
        x = _LEFT + across.at(point.values[across.name]) * (right - _LEFT)
        return x, bottom - up.at(point.values[up.name]) * (bottom - _TOP)

    parts = []
    for share, said in across.ticks:
        x = _LEFT + share * (right - _LEFT)
        parts += [axis(f"M{x:.1f} {_TOP}V{bottom}"), text(x, bottom + 14, said)]
    for share, said in up.ticks:
        y = bottom - share * (bottom - _TOP)
        parts += [axis(f"M{_LEFT} {y:.1f}H{right}"), text(_LEFT - 6, y, said, "end")]
    parts.append(text((_LEFT + right) / 2, _HEIGHT - 10, said_of(across.name)))
    middle = (_TOP + bottom) / 2
    turned = f'transform="rotate(-90 12 {middle})"'
    parts.append(text(12, middle, said_of(up.name), attributes=turned))
    best = sorted(place(point) for point in points if point.is_best)
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in best)
    parts.append(f'<polyline class="front" points="{line}"/>')
    for point in sorted(points, key=lambda point: point.is_best):
        x, y = place(point)
        kind, size = ("point best", 4.5) if point.is_best else ("point", 3)
        dot = f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{size}">'
        parts.append(f"{dot}{tooltip(point.title)}</circle>")
    label = f"{said_of(up.name)} against {said_of(across.name)}"
    return picture(_WIDTH, _HEIGHT, "".join(parts), label, 'class="scatter"')


def parallel_svg(points: Sequence[Drawn], scales: Sequence[Scale]) -> str:
    """A line for each point, through its value on every axis."""
    step = (_ACROSS - 2 * _SIDE) / max(len(scales) - 1, 1)
    bottom = _HEAD + _DOWN

    def line(point: Drawn) -> str:
        path = " ".join(
            f"{_SIDE + number * step:.1f},{bottom - scale.at(point.values[scale.name]) * _DOWN:.1f}"
            for number, scale in enumerate(scales)
        )
        kind = "track best" if point.is_best else "track"
        return f'<polyline class="{kind}" points="{path}">{tooltip(point.title)}</polyline>'

    others = [point for point in points if not point.is_best]
    every = max(1, -(-len(others) // _LINES))
    drawn = [*others[::every], *(point for point in points if point.is_best)]
    parts = [line(point) for point in drawn]
    for number, scale in enumerate(scales):
        x = _SIDE + number * step
        parts.append(axis(f"M{x:.1f} {_HEAD}V{bottom}"))
        parts.append(text(x, 12 if number % 2 else 26, said_of(scale.name)))
        parts += [text(x + 5, bottom - at * _DOWN - 7, said, "start") for at, said in scale.ticks]
    body = "".join(parts)
    return picture(_ACROSS, bottom + 14, body, "All values of every point", 'class="parallel"')
