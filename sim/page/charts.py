"""Small SVG charts of the report: the pipeline over time, and a curve."""

from __future__ import annotations

from collections.abc import Sequence

from ..event.recording import Slice
from .svg import axis, picture, text, tooltip

WIDTH = 1180.0


def timeline_svg(stages: Sequence[str], slices: Sequence[Slice], window: tuple[int, int]) -> str:
    """One row per stage, one bar per phase; `window` is (first cycle, last cycle) shown."""
    row, left = (16.0 if len(stages) <= 60 else 960.0 / len(stages)), 34.0
    begin, end = window
    per_cycle = (WIDTH - left) / max(end - begin, 1)
    place = {stage: number for number, stage in enumerate(stages)}
    parts = [_tick(begin, end, share, left, row * len(stages)) for share in (0, 0.25, 0.5, 0.75, 1)]
    parts += [_row_label(number, row) for number in range(0, len(stages), _every(row))]
    for item in slices:
        first, last = max(item.begin, begin), min(item.end, end)
        if last <= first or item.stage not in place:
            continue
        spent = f"{item.phase} of sample {item.sample}, {item.end - item.begin:,} cycles"
        parts.append(
            f'<rect class="{item.phase}" x="{left + (first - begin) * per_cycle:.1f}"'
            f' y="{place[item.stage] * row + 1:.1f}" width="{(last - first) * per_cycle:.2f}"'
            f' height="{row - 2:.1f}">{tooltip(f"{item.stage}: {spent}")}</rect>'
        )
    return picture(WIDTH, row * len(stages) + 22, "".join(parts), "Pipeline over time")


def curve_svg(values: Sequence[float], label: str, points: int = 300) -> str:
    """A line through the means of at most `points` equal groups of `values`."""
    means = _grouped(values, points)
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    left, width, height = 52.0, WIDTH, 240.0
    step = (width - left - 8) / max(len(means) - 1, 1)
    path = " ".join(
        f"{left + number * step:.1f},{10 + (high - mean) / span * (height - 40):.1f}"
        for number, mean in enumerate(means)
    )
    parts = [f'<polyline class="curve" points="{path}"/>']
    for share in (0.0, 0.5, 1.0):
        y = 10 + share * (height - 40)
        parts.append(axis(f"M{left} {y:.1f}H{width - 8}"))
        parts.append(text(left - 6, y, f"{high - share * span:.3g}", "end"))
        parts.append(text(left + share * (width - left - 8), height - 12, *_sample(values, share)))
    return picture(width, height, "".join(parts), label)


def _sample(values: Sequence[float], share: float) -> tuple[str, str]:
    anchor = {0.0: "start", 0.5: "middle", 1.0: "end"}[share]
    return f"sample {round(share * (len(values) - 1)):,}", anchor


def _grouped(values: Sequence[float], points: int) -> list[float]:
    size = max(-(-len(values) // points), 1)
    groups = [values[start : start + size] for start in range(0, len(values), size)]
    return [sum(group) / len(group) for group in groups]


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
