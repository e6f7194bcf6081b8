"""A timeline in the Chrome trace format, which Perfetto and chrome://tracing open.

Format: "Trace Event Format" (complete events 'X', metadata events 'M'), times in microseconds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..compiler.plan.document import PlanDocument
from .event import Slice, timeline

_COLOURS = {"forward": "good", "backward": "bad", "update": "yellow"}


def write_trace(
    plan: PlanDocument, path: str | Path, first: int | None = None, samples: int = 20
) -> None:
    """Write what every stage does with `samples` samples from `first` on; one track per stage.

    Without `first` the window begins when the pipeline is full. Events are written one by one, to a
    temporary name that becomes `path` at the end. The run goes on for as many samples after the
    window as before it, so that the window shows no drain.

    Raises OSError if the file cannot be written, UserError for a plan that cannot be simulated.
    """
    depth = max((stage.delay for stage in plan.stages), default=0)
    begin = depth if first is None else first
    slices = timeline(plan, begin + samples + depth, begin, samples)
    part = Path(path).with_name(Path(path).name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.write('{"displayTimeUnit": "ns", "traceEvents": [\n')
        for number, event in enumerate(_events(plan, slices)):
            file.write((",\n" if number else "") + json.dumps(event))
        file.write("\n]}\n")
    os.replace(part, path)


def _events(plan: PlanDocument, slices: tuple[Slice, ...]) -> Iterator[dict[str, Any]]:
    track = {stage.id: stage.index for stage in plan.stages}
    name = f"{plan.model} on {plan.target} at {plan.clock_hz / 1e6:g} MHz"
    yield {"ph": "M", "pid": 0, "tid": 0, "name": "process_name", "args": {"name": name}}
    for stage in plan.stages:
        place: dict[str, Any] = {"ph": "M", "pid": 0, "tid": stage.index}
        yield place | {"name": "thread_name", "args": {"name": stage.id}}
        yield place | {"name": "thread_sort_index", "args": {"sort_index": stage.index}}
    for item in slices:
        yield _slice(item, track[item.stage], 1e6 / plan.clock_hz)


def _slice(item: Slice, track: int, microseconds: float) -> dict[str, Any]:
    return {
        "ph": "X",
        "pid": 0,
        "tid": track,
        "name": f"{item.phase[0].upper()}{item.sample}",
        "cat": item.phase,
        "cname": _COLOURS[item.phase],
        "ts": item.begin * microseconds,
        "dur": (item.end - item.begin) * microseconds,
        "args": {"sample": item.sample, "begin_cycle": item.begin, "end_cycle": item.end},
    }
