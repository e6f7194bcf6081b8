"""The pipeline as a picture: a row for each stage, with streams between them; skips in lanes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...compiler.plan.document import PlanDocument
from ...compiler.plan.picture.colours import ramp
from ...compiler.plan.picture.svg import picture, text, tooltip
from ..model.report import EdgeRow, SimReport

ROW = 17.0
"""Pixels of a row."""
_LANES_WIDTH = 200.0
"""Pixels that all lanes of skips may take."""
_LANE = 9.0
_BAR, _DELAY = 64.0, 44.0
_LETTER, _LONGEST = 6.6, 36
"""Pixels of a letter of a stage's name, and how many are shown."""
_TOP = 22.0


def network_svg(plan: PlanDocument, report: SimReport) -> str:
    """Stages from first to last with name, delay and busy share; streams with bytes and load.

    A stream of neighbours is a line, any other one an arc in a lane of its own, so that skips can
    be followed. Elements carry data-stage, the stage's number; streams that are busy for more than
    half of the interval are marked.
    """
    numbers = {stage.id: stage.index for stage in plan.stages}
    streams = [edge for edge in report.edges if edge.source in numbers and edge.sink in numbers]
    ends = [(numbers[edge.source], numbers[edge.sink]) for edge in streams]
    lanes = lanes_of(ends)
    count = max((lane for lane in lanes if lane is not None), default=-1) + 1
    step = min(_LANE, _LANES_WIDTH / max(count, 1))
    x = 10 + (count + 1) * step
    arcs = [
        _stream(edge, pair, None if lane is None else x - 6 - (lane + 1) * step, x)
        for edge, pair, lane in zip(streams, ends, lanes, strict=True)
    ]
    longest = max(len(stage.id) for stage in plan.stages)
    columns = _Columns(x, x + 16 + max(min(longest, _LONGEST), 8) * _LETTER)
    rows = [
        _row(stage.index, stage.id, stage.delay, row.utilisation, columns)
        for stage, row in zip(plan.stages, report.stages, strict=True)
    ]
    body = _heading(columns) + "".join(arcs) + "".join(rows)
    label = f"Stages of {plan.model} and the streams between them"
    height = _TOP + len(plan.stages) * ROW + 4
    attributes = f'class="network" width="{columns.width:.0f}" height="{height:.0f}"'
    return picture(columns.width, height, body, label, attributes)


def lanes_of(ends: Sequence[tuple[int, int]]) -> list[int | None]:
    """A lane for each stream that passes a stage by, None for one of neighbours.

    Streams that overlap have different lanes; short ones are nearest to the stages.
    """
    lanes: list[int | None] = [None] * len(ends)
    taken: list[list[tuple[int, int]]] = []
    skips = [number for number, (a, b) in enumerate(ends) if abs(b - a) > 1]
    for number in sorted(skips, key=lambda n: (abs(ends[n][1] - ends[n][0]), ends[n])):
        first, last = sorted(ends[number])
        free = (k for k, held in enumerate(taken) if all(last <= a or b <= first for a, b in held))
        lane = next(free, len(taken))
        if lane == len(taken):
            taken.append([])
        taken[lane].append((first, last))
        lanes[number] = lane
    return lanes


@dataclass(frozen=True)
class _Columns:
    """Pixels from the left: of the stages' dots, and of where their names end."""

    dots: float
    names_end: float

    @property
    def bar(self) -> float:
        return self.names_end + _DELAY

    @property
    def width(self) -> float:
        return self.bar + _BAR + 8


def _heading(columns: _Columns) -> str:
    return (
        text(columns.dots + 16, 9, "stage", "start")
        + text(columns.bar - 12, 9, "delay", "end")
        + text(columns.bar, 9, "busy", "start")
    )


def _middle(stage: int) -> float:
    return _TOP + (stage + 0.5) * ROW


def _stream(edge: EdgeRow, ends: tuple[int, int], lane: float | None, x: float) -> str:
    top, bottom = _middle(ends[0]), _middle(ends[1])
    path = f"M{x:.1f} {top:.1f}V{bottom:.1f}"
    if lane is not None:
        turn = 5 if bottom > top else -5
        path = (
            f"M{x:.1f} {top:.1f}L{lane:.1f} {top + turn:.1f}V{bottom - turn:.1f}"
            f"L{x:.1f} {bottom:.1f}"
        )
    load = max(edge.forward_load, edge.gradient_load)
    said = (
        f"{edge.source} to {edge.sink}: {edge.forward_bytes:,} bytes forward,"
        f" {edge.gradient_bytes:,} of gradient; {edge.hops} hops, {edge.links} links,"
        f" FIFO of {edge.depth}; links {load:.0%} busy"
    )
    kind = "stream busy" if load > 0.5 else "stream"
    return f'<path class="{kind}" data-ends="{ends[0]} {ends[1]}" d="{path}">{tooltip(said)}</path>'


def _row(number: int, name: str, delay: int, share: float, columns: _Columns) -> str:
    x, y, bar = columns.dots, _middle(number), columns.bar
    half = _LONGEST // 2 - 1
    shown = name if len(name) <= _LONGEST else f"{name[:half]}…{name[-half:]}"
    return (
        f'<g class="row" data-stage="{number}">'
        f'<rect class="ground" y="{y - ROW / 2:.1f}" width="{columns.width:.1f}" height="{ROW}"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{ramp(share)[0]}"/>'
        + text(x + 16, y, shown, "start", 11.5)
        + text(bar - 12, y, delay, "end")
        + f'<rect class="bar" x="{bar:.1f}" y="{y - 4:.1f}" width="{_BAR:.1f}" height="8"/>'
        + f'<rect x="{bar:.1f}" y="{y - 4:.1f}" width="{min(share, 1) * _BAR:.1f}" height="8"'
        + f' fill="{ramp(share)[0]}"/>{tooltip(f"{name}: {share:.1%} busy, delay {delay}")}</g>'
    )
