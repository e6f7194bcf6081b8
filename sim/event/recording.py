"""What happened in a window of samples: what every stage did, and how full every FIFO was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...compiler.plan.document import PlanDocument
from ...compiler.timing.wiring import PHASES
from .level import EngineRun, play


@dataclass(frozen=True)
class Slice:
    """One phase of one sample on one stage, from `begin` to `end` in cycles.

    It lasts longer than its `work_cycles` where rows come later than it could take them; a phase
    without work, as the backward of a sum, lasts as long as rows pass through.
    """

    stage: str
    phase: str
    sample: int
    begin: int
    end: int
    work_cycles: int


@dataclass(frozen=True)
class Fill:
    """From `cycle` on a stream holds `items` samples, under way or waiting."""

    stream: str
    cycle: int
    items: int


@dataclass(frozen=True)
class Transfer:
    """One sample on the links of a stream, from its first part's departure to its last part's."""

    stream: str
    phase: str
    sample: int
    begin: int
    end: int


@dataclass(frozen=True)
class Recording:
    """A run with its window, which begins with sample `first`."""

    run: EngineRun
    first: int

    def slices(self) -> Iterator[Slice]:
        """By stage, then sample, then phase."""
        stages = self.run.wiring.stages
        recorded = self.run.state.slices
        for unit in range(stages):
            own = self.run.wiring.units[unit]
            for sample, phases in enumerate(recorded[unit].tolist(), self.first):
                for phase, (begin, end), work in zip(PHASES, phases, own.cycles, strict=True):
                    if end >= 0:
                        yield Slice(own.name, phase, sample, begin, end, work)

    def transfers(self) -> Iterator[Transfer]:
        """By stream, then sample; a stream inside a region needs no links and has none."""
        window = self.run.state.slices.shape[1]
        for channel, moves in zip(self.run.wiring.channels, self.run.state.moves, strict=True):
            label, phase = self.run.wiring.label(channel), PHASES[channel.phase]
            for sample, (begin, end) in enumerate(moves[-window:, 2:].tolist(), self.first):
                if end >= 0 and channel.work_cycles:
                    yield Transfer(label, phase, sample, begin, end)

    def fills(self) -> Iterator[Fill]:
        """By stream, then cycle, from when the first sample of the window is put into the stream
        until the last one is."""
        moves, window = self.run.state.moves[:, :, :2], self.run.state.slices.shape[1]
        for channel, (given, taken) in enumerate(np.moveaxis(moves, 2, 1)):
            inside = given[-window:][given[-window:] >= 0]
            if not inside.size:
                continue
            label = self.run.wiring.label(self.run.wiring.channels[channel])
            cycles = np.unique(moves[channel])
            cycles = cycles[(cycles >= inside[0]) & (cycles <= inside[-1])]
            items = _until(given, cycles) - _until(taken, cycles)
            for cycle, held in zip(cycles, items, strict=True):
                yield Fill(label, int(cycle), int(held))


def record(plan: PlanDocument, samples: int, first: int, count: int) -> Recording:
    """Samples `first` to `first + count - 1` in a run of `samples`; memory grows with `count` only.

    Raises UserError for a sample count below 1 or a plan the simulator cannot wire.
    """
    return Recording(play(plan, samples, (first, count)), first)


def timeline(plan: PlanDocument, samples: int, first: int, count: int) -> tuple[Slice, ...]:
    """What every stage does with samples first to first + count - 1 in a run of `samples`."""
    return tuple(record(plan, samples, first, count).slices())


def _until(times: np.ndarray, cycles: np.ndarray) -> np.ndarray:
    """How many of the ascending `times` (-1: never) are at or before each of `cycles`."""
    return np.searchsorted(times[times >= 0], cycles, side="right")
