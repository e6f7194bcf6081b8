"""A sweep as one HTML page, without network: what nothing beats, pictures, all points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...compiler.plan.atomic_output import staged_file
from ...compiler.plan.evidence import bar_text
from ...compiler.plan.text.numbers import duration, percent, quantity
from ...sim.page.page import render
from .front import Objective, assumed_of
from .pictures import Drawn, parallel_svg, said_of, scatter_svg
from .scale import scale_of

PAGE_FILE = "report.html"
_MOST_ROWS = 2000
_FIGURES = ("samples/s", "latency", "PEs", "wafers", "memory", "bound by")

Line = Mapping[str, Any]


def write_page(
    path: Path,
    title: str,
    lines: Sequence[Line],
    front: Sequence[Line],
    wanted: Sequence[Objective],
) -> None:
    """Write the page, under a temporary name until it is complete."""
    with staged_file(path) as file:
        file.write(page_of(title, lines, front, wanted))


def page_of(
    title: str, lines: Sequence[Line], front: Sequence[Line], wanted: Sequence[Objective]
) -> str:
    """The page of a sweep's points, of which `front` are those that no other beats in all that is
    `wanted`. Raises UserError if jinja2 is missing."""
    keys = varied_keys(lines)
    best = {line["recipe"] for line in front}
    fitting = [line for line in lines if line["fits"]]
    points = [_drawn(line, keys, wanted, line["recipe"] in best) for line in fitting]
    names = list(dict.fromkeys((*keys, *(one.name for one in wanted))))
    scales = [scale_of(name, (point.values[name] for point in points)) for name in names if points]
    by_name = {scale.name: scale for scale in scales}
    first, second = (by_name.get(one.name) for one in (wanted[-1], wanted[0]))
    reasons = Counter(line["reason"] for line in lines if not line["fits"])
    return render(
        "sweep.html",
        title=title,
        count=len(lines),
        fitting=len(fitting),
        said=" and ".join(f"{said_of(one.name)} ({_way(one)})" for one in wanted),
        scatter=scatter_svg(points, first, second) if first and second else "",
        parallel=parallel_svg(points, scales) if points and len(scales) > 1 else "",
        columns=(*keys, *_FIGURES),
        front=[_row(line, keys) for line in front],
        rows=[_row(line, keys) for line in fitting[:_MOST_ROWS]],
        left_out=max(0, len(fitting) - _MOST_ROWS),
        unranked=sum(bool(assumed_of(line, wanted)) for line in fitting),
        reasons=reasons.most_common(),
    )


def varied_keys(lines: Sequence[Line]) -> list[str]:
    """The keys that have several values."""
    values: dict[str, set[str]] = {}
    for line in lines:
        for key, value in line["overrides"].items():
            values.setdefault(key, set()).add(str(value))
    everywhere = {key for key in values if all(key in line["overrides"] for line in lines)}
    return [key for key, found in values.items() if len(found) > 1 or key not in everywhere]


def _way(objective: Objective) -> str:
    return "most" if objective.is_maximised else "least"


def _drawn(line: Line, keys: Sequence[str], wanted: Sequence[Objective], is_best: bool) -> Drawn:
    own = {key: line["overrides"].get(key, "default") for key in keys}
    row = zip((*keys, *_FIGURES), _row(line, keys), strict=True)
    title = "\n".join(f"{name}: {text}" for name, (text, _) in row)
    return Drawn({**own, **{one.name: line[one.name] for one in wanted}}, title, is_best)


def _with_bar(line: Line, name: str, shown: Callable[[float], str]) -> tuple[str, float]:
    value = line[name]
    return shown(value) + bar_text(value, *line["error_bars"][name]), value


def _setting_text(value: Any) -> str:
    """Numbers with all their digits before the point."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    return f"{int(value):,}" if value == int(value) else f"{value:.6g}"


def _row(line: Line, keys: Sequence[str]) -> list[tuple[str, Any]]:
    """Each cell's text, and what it is sorted by."""
    own = [line["overrides"].get(key, "") for key in keys]
    settings = [(_setting_text(value), value) for value in own]
    return [
        *settings,
        _with_bar(line, "throughput_samples_per_s", quantity),
        _with_bar(line, "latency_s", duration),
        (f"{line['pes']:,}", line["pes"]),
        (str(line["wafers"]), line["wafers"]),
        (percent(line["memory_share"]), line["memory_share"]),
        (line["bound_by"], line["bound_by"]),
    ]
