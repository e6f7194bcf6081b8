"""Small SVG charts of the report: the pipeline over time, and a curve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from ...compiler.plan.picture.svg import axis, picture, text, tooltip
from ..event.recording import Slice

WIDTH = 1180.0


def timeline_svg(stages: Sequence[str], slices: Sequence[Slice], window: tuple[int, int]) -> str:
    """One row per stage, one bar per phase with work; `window` is (first, last cycle) shown."""
    row, left = (16.0 if len(stages) <= 60 else 960.0 / len(stages)), 34.0
    begin, end = window
    per_cycle = (WIDTH - left) / max(end - begin, 1)
    place = {stage: number for number, stage in enumerate(stages)}
    parts = [_tick(begin, end, share, left, row * len(stages)) for share in (0, 0.25, 0.5, 0.75, 1)]
    parts += [_row_label(number, row) for number in range(0, len(stages), _every(row))]
    for item in slices:
        first, last = max(item.begin, begin), min(item.end, end)
        if last <= first or item.stage not in place or not item.work_cycles:
            continue
        parts.append(
            f'<rect class="{item.phase}" x="{left + (first - begin) * per_cycle:.1f}"'
            f' y="{place[item.stage] * row + 1:.1f}" width="{(last - first) * per_cycle:.2f}"'
            f' height="{row - 2:.1f}">{tooltip(_said(item))}</rect>'
        )
    return picture(WIDTH, row * len(stages) + 22, "".join(parts), "Pipeline over time")


def _said(item: Slice) -> str:
    """With the cycles that the table has, and how long it takes where rows come later."""
    lasts = item.end - item.begin
    late = f" of work in {lasts:,}, as rows come late" if lasts > item.work_cycles else ""
    return f"{item.stage}: {item.phase} of sample {item.sample}, {item.work_cycles:,} cycles{late}"


def curve_svg(values: Sequence[float], label: str) -> str:
    """A line through the means of equal groups of `values`, one for each sample, on a logarithmic
    axis if they differ by more than a factor of ten."""
    return lines_svg({label: grouped(list(enumerate(values)))}, label, "{:.3g}", may_be_log=True)


def shares_svg(found: Sequence[tuple[int, float]], label: str) -> str:
    """A line through (samples trained, share); empty if there are not two."""
    return lines_svg({label: grouped(found)}, label, "{:.1%}") if len(found) > 1 else ""


def grouped(points: Sequence[Sequence[float]], count: int = 300) -> list[tuple[float, float]]:
    """Means of at most `count` equal groups of neighbouring points."""
    size = max(-(-len(points) // count), 1)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(fmean(x for x, _ in group), fmean(y for _, y in group)) for group in groups]


def lines_svg(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    label: str,
    number: str,
    may_be_log: bool = False,
) -> str:
    """Lines by name, each through points (sample, value), of which there is at least one.

    `number` says how a value is written at the axis. Several lines have a legend. Values that may
    have a logarithmic axis have one if they are positive and the largest is ten times the least.
    """
    points = [point for line in lines.values() for point in line]
    low, high = _limits([value for _, value in points], number)
    is_log = may_be_log and 0 < 10 * low < high
    to, back = (math.log, math.exp) if is_log else (float, float)
    low, high = to(low), to(high)
    first, last = min(sample for sample, _ in points), max(sample for sample, _ in points)
    left, width, height = 52.0, WIDTH, 240.0
    per_sample = (width - left - 8) / ((last - first) or 1.0)
    per_value = (height - 40) / ((high - low) or 1.0)
    parts = []
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        y, x = 10 + share * (height - 40), left + share * (width - left - 8)
        parts.append(axis(f"M{left} {y:.1f}H{width - 8}"))
        parts.append(text(left - 6, y, number.format(back(high - share * (high - low))), "end"))
        sample = round(first + share * (last - first))
        parts.append(text(x, height - 12, f"sample {sample:,}", anchor))
    for place, line in enumerate(lines.values()):
        path = " ".join(
            f"{left + (sample - first) * per_sample:.1f},{10 + (high - to(value)) * per_value:.1f}"
            for sample, value in line
        )
        parts.append(f'<polyline class="curve c{place % 10}" points="{path}"/>')
    legend = _legend(list(lines), height) if len(lines) > 1 else ""
    under = 18.0 * len(lines) if legend else 0.0
    return picture(width, height + under, "".join(parts) + legend, label)


def _limits(values: Sequence[float], number: str) -> tuple[float, float]:
    """Least and largest, or around them where an axis would say one number thrice."""
    low, high = min(values), max(values)
    if number.format(low) != number.format(high):
        return low, high
    margin, most = abs(high) / 20 or 1.0, 1.0 if number.endswith("%}") else math.inf
    return low - margin, max(high, min(high + margin, most))


def _legend(names: Sequence[str], top: float) -> str:
    return "".join(
        f'<path class="curve c{place % 10}" d="M52 {top + 18 * place + 6:.1f}h24"/>'
        + text(82, top + 18 * place + 6, name, "start", 11.5)
        for place, name in enumerate(names)
    )


def _tick(begin: int, end: int, share: float, left: float, height: float) -> str:
    x = left + share * (WIDTH - left)
    anchor = "start" if share == 0 else "end" if share == 1 else "middle"
    cycle = round(begin + share * (end - begin))
    return axis(f"M{x:.1f} 0V{height:.1f}") + text(x, height + 12, f"{cycle:,} cycles", anchor)


def _every(row: float) -> int:
    """Label every n-th row, so that labels stay 10 pixels apart."""
    return max(round(10 / row), 1)


def _row_label(number: int, row: float) -> str:
    return text(28, (number + 0.5) * row, str(number), "end")
