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
    last = len(values) - 1
    across = [number * last / max(len(means) - 1, 1) for number in range(len(means))]
    return _line_svg(list(zip(across, means, strict=True)), label, "{:.3g}")


def accuracy_svg(tests: Sequence[tuple[int, float]]) -> str:
    """A line through (samples trained, share of test samples classified correctly)."""
    return _line_svg(tests, "Test accuracy", "{:.1%}")


def _line_svg(points: Sequence[tuple[float, float]], label: str, number: str) -> str:
    """Values by sample; `number` says how a value is written at the axis."""
    low, high = min(value for _, value in points), max(value for _, value in points)
    first, last = points[0][0], points[-1][0]
    left, width, height = 52.0, WIDTH, 240.0
    per_sample = (width - left - 8) / ((last - first) or 1.0)
    per_value = (height - 40) / ((high - low) or 1.0)
    path = " ".join(
        f"{left + (sample - first) * per_sample:.1f},{10 + (high - value) * per_value:.1f}"
        for sample, value in points
    )
    parts = [f'<polyline class="curve" points="{path}"/>']
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        y = 10 + share * (height - 40)
        x = left + share * (width - left - 8)
        parts.append(axis(f"M{left} {y:.1f}H{width - 8}"))
        parts.append(text(left - 6, y, number.format(high - share * (high - low)), "end"))
        parts.append(
            text(x, height - 12, f"sample {round(first + share * (last - first)):,}", anchor)
        )
    return picture(width, height, "".join(parts), label)


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
