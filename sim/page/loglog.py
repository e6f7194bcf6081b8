"""Log-log SVG charts: measured against simulated, and the roofline of a plan's stages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...compiler.plan.constants import constant, has_constants
from ...compiler.plan.document import PlanDocument
from ...compiler.plan.picture.svg import axis, picture, text, tooltip
from ..model.report import SimReport

_WIDTH, _HEIGHT = 560.0, 410.0
_LEFT, _TOP, _RIGHT, _FOOT = 64.0, 10.0, 150.0, 44.0
_COLOURS = 10


@dataclass(frozen=True)
class Dot:
    """A point: `group` picks its colour, `title` is shown when hovering."""

    x: float
    y: float
    group: str
    title: str


@dataclass(frozen=True)
class Axes:
    """Names and limits, powers of ten, of a chart."""

    x_name: str
    y_name: str
    x_from: int
    x_to: int
    y_from: int
    y_to: int

    def x(self, value: float) -> float:
        """Pixels from the left."""
        share = (math.log10(value) - self.x_from) / (self.x_to - self.x_from)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        share = (math.log10(value) - self.y_from) / (self.y_to - self.y_from)
        return _HEIGHT - _FOOT - share * (_HEIGHT - _TOP - _FOOT)


def validation_svg(dots: Sequence[Dot]) -> str:
    """Measured (across) against simulated (up), with the diagonal they should lie on."""
    values = [value for dot in dots for value in (dot.x, dot.y)]
    low, high = _decades(values)
    axes = Axes("measured", "simulated", low, high, low, high)
    diagonal = ((10.0**low, 10.0**low), (10.0**high, 10.0**high))
    return _chart(axes, dots, [diagonal], "Measured against simulated")


def roofline_svg(plan: PlanDocument, report: SimReport) -> str:
    """One dot per stage that multiplies; empty if none does.

    Across: cycles of its arithmetic at the datapath's peak over cycles its busiest stream takes,
    below 1 it cannot be bound by arithmetic. Up: share of the peak that it reaches in the longer of
    its own cycles and that stream's.
    """
    dots = _stage_dots(plan, report)
    if not dots:
        return ""
    x_from, x_to = _decades([1.0, *(dot.x for dot in dots)])
    y_from = min(-1, math.floor(math.log10(min(dot.y for dot in dots))))
    axes = Axes("arithmetic at peak / busiest stream", "share of peak", x_from, x_to, y_from, 0)
    corner = max(10.0**x_from, 10.0**y_from)
    roof = ((corner, corner), (1.0, 1.0), (10.0**x_to, 1.0))
    return _chart(axes, dots, [roof], "Roofline of the stages")


def _stage_dots(plan: PlanDocument, report: SimReport) -> list[Dot]:
    peak = _peak(plan)
    if report.deadlock or not peak:
        return []
    streams = {row.id: 0.0 for row in report.stages}
    for edge in report.edges:
        cycles = max(edge.forward_load, edge.gradient_load) * report.initiation_interval_cycles
        for end in {edge.source, edge.sink} & streams.keys():
            streams[end] = max(streams[end], cycles)
    dots = []
    for stage, row in zip(plan.stages, report.stages, strict=True):
        at_peak = stage.macs_effective / (peak * stage.region.area)
        if not (at_peak and stage.pace_cycles and streams[row.id]):
            continue
        share = at_peak / max(stage.pace_cycles, streams[row.id])
        title = f"{row.id}: {share:.0%} of the peak, {row.bound_by}"
        dots.append(Dot(at_peak / streams[row.id], share, row.bound_by, title))
    return dots


def _peak(plan: PlanDocument) -> float:
    """Multiply-adds per cycle of a PE in the plan's floating-point type; 0 if nothing says it."""
    floating = [p.dtype for p in (*plan.parameters, *plan.inputs) if "float" in p.dtype]
    name = f"compute.{floating[0] if floating else 'float32'}.macs_per_cycle"
    return constant(plan, name) if has_constants(plan, name) else 0.0


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """Exponents of the powers of ten below and above all values, at least one decade apart."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _chart(
    axes: Axes,
    dots: Sequence[Dot],
    lines: Sequence[Sequence[tuple[float, float]]],
    label: str,
) -> str:
    groups = list(dict.fromkeys(dot.group for dot in dots))
    parts = [*_grid(axes), *(_line(axes, line) for line in lines)]
    for dot in dots:
        colour = groups.index(dot.group) % _COLOURS
        parts.append(
            f'<circle class="dot c{colour}" cx="{axes.x(dot.x):.1f}" cy="{axes.y(dot.y):.1f}"'
            f' r="4">{tooltip(dot.title)}</circle>'
        )
    for number, group in enumerate(groups):
        y = _TOP + 10 + 18 * number
        x = _WIDTH - _RIGHT + 18
        parts.append(f'<circle class="dot c{number % _COLOURS}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
        parts.append(text(x + 12, y, group, "start"))
    attributes = f'class="loglog" width="{_WIDTH:.0f}"'
    return picture(_WIDTH, _HEIGHT, "".join(parts), label, attributes)


def _grid(axes: Axes) -> list[str]:
    """A line and a number per decade, and the axes' names."""
    bottom, right = _HEIGHT - _FOOT, _WIDTH - _RIGHT
    parts = []
    for power in range(axes.x_from, axes.x_to + 1):
        x = axes.x(10.0**power)
        parts.append(axis(f"M{x:.1f} {_TOP}V{bottom}"))
        parts.append(text(x, bottom + 13, _power(power), "middle"))
    for power in range(axes.y_from, axes.y_to + 1):
        y = axes.y(10.0**power)
        parts.append(axis(f"M{_LEFT} {y:.1f}H{right}"))
        parts.append(text(_LEFT - 6, y, _power(power), "end"))
    parts.append(text((_LEFT + right) / 2, _HEIGHT - 10, axes.x_name, "middle"))
    middle = (_TOP + bottom) / 2
    turned = f'transform="rotate(-90 12 {middle})"'
    parts.append(text(12, middle, axes.y_name, attributes=turned))
    return parts


def _power(exponent: int) -> str:
    """A power of ten as a short number: 0.01, 100, 100 k, 10 M."""
    if exponent < 0:
        return f"{10.0**exponent:.{-exponent}f}"
    names = ("", " k", " M", " G", " T")
    step = min(exponent // 3, len(names) - 1)
    return f"{10 ** (exponent - 3 * step)}{names[step]}"


def _line(axes: Axes, points: Sequence[tuple[float, float]]) -> str:
    path = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in points)
    return f'<polyline class="roof" points="{path}"/>'
