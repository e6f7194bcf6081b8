"""A timeline in the Chrome trace format, which Perfetto and chrome://tracing open.

Format: "Trace Event Format" (complete events 'X', metadata 'M', counters 'C', flows 's', 't', 'f'),
times in microseconds. Stages are the threads of process 1, those with two regions two, as slices of
a thread may not overlap; phases without work are left out. FIFOs are the counters of process 2,
bytes on the fullest PE of each stage those of process 3; streams, on their links, are the threads
of process 4. An arrow leads from a sample's forward on a stage to its backward there, and on to the
update.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from ...compiler.plan.atomic_output import staged_file
from ...compiler.plan.document import PlanDocument
from ...compiler.plan.stage_record import PHASES_OF
from ...compiler.timing.wiring import PHASES
from ..event.recording import Fill, Recording, Slice, Transfer, record
from .memory import Held, memory_over_time

_STAGES, _FIFOS, _BYTES, _LINKS = 1, 2, 3, 4
"""Processes. Not 0: a thread with the number of its process would be taken for its main thread."""
_FIRST_TRACK = 10
_MOST_SLICES = 200_000
"""Above this many the filling of the pipeline is left out."""
_COLOURS = {"forward": "good", "backward": "bad", "update": "yellow"}


def write_trace(
    plan: PlanDocument, path: str | Path, first: int | None = None, samples: int = 20
) -> None:
    """Write what every stage does with `samples` samples from `first` on; one track per region.

    Without `first` the window begins with the first sample and ends `samples` after the pipeline
    has filled; of a pipeline so long that this would be too much to look at, it begins there.
    Events are written one by one, to a temporary name that becomes `path` at the end. The run goes
    on for `samples` and the depth of the pipeline after the window, which so shows no drain.

    Raises OSError if the file cannot be written, UserError for a plan that cannot be simulated or
    a folder that is not there.
    """
    depth = max((stage.delay for stage in plan.stages), default=0)
    if first is None:
        is_short = len(PHASES) * len(plan.stages) * (depth + samples) <= _MOST_SLICES
        first, samples = (0, depth + samples) if is_short else (depth, samples)
    recording = record(plan, first + samples + depth, first, samples)
    with staged_file(path) as file:
        file.write('{"displayTimeUnit": "ns", "traceEvents": [\n')
        for number, event in enumerate(_events(plan, recording, samples)):
            file.write((",\n" if number else "") + json.dumps(event))
        file.write("\n]}\n")


def _events(plan: PlanDocument, recording: Recording, samples: int) -> Iterator[dict[str, Any]]:
    tracks = _tracks(plan)
    yield from _names(plan, tracks)
    numbers = {stage.id: stage.index for stage in plan.stages}
    microseconds = 1e6 / plan.clock_hz
    for (stage, sample), group in groupby(recording.slices(), lambda s: (s.stage, s.sample)):
        slices = [item for item in group if item.work_cycles]
        at = [tracks[stage, item.phase] for item in slices]
        pairs = zip(slices, at, strict=True)
        yield from (_slice(item, _STAGES, track, microseconds) for item, track in pairs)
        number = sample * len(numbers) + numbers[stage]
        yield from _arrows(slices, at, number, microseconds)
    yield from (_counter(fill, microseconds) for fill in recording.fills())
    for stage in memory_over_time(plan, recording.run.samples, recording.first, samples):
        yield from (_memory(held, microseconds) for held in stage)
    for number, (stream, own) in enumerate(groupby(recording.transfers(), lambda t: t.stream)):
        place = {"ph": "M", "pid": _LINKS, "tid": number + _FIRST_TRACK}
        yield _named(place, "thread_name", name=stream)
        yield _named(place, "thread_sort_index", sort_index=number)
        yield from (_slice(item, _LINKS, number + _FIRST_TRACK, microseconds) for item in own)


def _tracks(plan: PlanDocument) -> dict[tuple[str, str], int]:
    """The thread of every phase of every stage."""
    found: dict[tuple[str, str], int] = {}
    number = _FIRST_TRACK
    for stage in plan.stages:
        for use in stage.uses:
            found |= {(stage.id, phase): number for phase in PHASES_OF[use.purpose]}
            number += 1
    return found


def _names(plan: PlanDocument, tracks: Mapping[tuple[str, str], int]) -> Iterator[dict[str, Any]]:
    name = f"{plan.model} on {plan.target} at {plan.clock_hz / 1e6:g} MHz"
    titles = (name, "samples in FIFOs", "bytes per PE", "streams on their links")
    for process, title in enumerate(titles, _STAGES):
        yield _named({"ph": "M", "pid": process, "tid": 0}, "process_name", name=title)
    for stage, use in ((one, use) for one in plan.stages for use in one.uses):
        track = tracks[stage.id, PHASES_OF[use.purpose][0]]
        place: dict[str, Any] = {"ph": "M", "pid": _STAGES, "tid": track}
        own = f"{stage.id}: {' and '.join(PHASES_OF[use.purpose])}"
        yield _named(place, "thread_name", name=own if stage.is_apart else stage.id)
        yield _named(place, "thread_sort_index", sort_index=track - _FIRST_TRACK)


def _named(place: dict[str, Any], what: str, **args: object) -> dict[str, Any]:
    return place | {"name": what, "args": args}


def _slice(item: Slice | Transfer, process: int, track: int, microseconds: float) -> dict[str, Any]:
    work = {"work_cycles": item.work_cycles} if isinstance(item, Slice) else {}
    return {
        "ph": "X",
        "pid": process,
        "tid": track,
        "name": f"{item.phase[0].upper()}{item.sample}",
        "cat": item.phase,
        "cname": _COLOURS[item.phase],
        "ts": item.begin * microseconds,
        "dur": (item.end - item.begin) * microseconds,
        "args": {"sample": item.sample, "begin_cycle": item.begin, "end_cycle": item.end} | work,
    }


def _arrows(
    slices: list[Slice], tracks: list[int], number: int, microseconds: float
) -> Iterator[dict[str, Any]]:
    """One flow through the phases of a sample on a stage."""
    kinds = ["s", *("t" for _ in slices[2:]), "f"]
    ends = zip(slices, tracks, kinds, strict=False)
    for item, track, kind in ends if len(slices) > 1 else ():
        yield {
            "ph": kind,
            "pid": _STAGES,
            "tid": track,
            "name": "sample",
            "cat": "sample",
            "id": number,
            "ts": item.begin * microseconds,
            "bp": "e",
        }


def _counter(fill: Fill, microseconds: float) -> dict[str, Any]:
    return {
        "ph": "C",
        "pid": _FIFOS,
        "name": fill.stream,
        "ts": fill.cycle * microseconds,
        "args": {"samples": fill.items},
    }


def _memory(held: Held, microseconds: float) -> dict[str, Any]:
    """Stacked by the viewer."""
    return {
        "ph": "C",
        "pid": _BYTES,
        "name": held.stage,
        "ts": held.cycle * microseconds,
        "args": {
            "kept": held.kept_bytes,
            "activations": held.activation_bytes,
            "working": held.working_bytes,
        },
    }
