"""A run that leaps over what repeats itself, exact to the cycle and to every counter.

Stage 0 is let go tick by tick while the others go as far as that allows. What they have done then
follows from counting, and soon is the same in every tick. Their times are maxima of sums of earlier
times: between ticks that are alike, every time is a convex function of the times k ticks before
(max-plus linear: Baccelli, Cohen, Olsder, Quadrat, Synchronization and Linearity, 1992, chapter 3).

Let a period of k ticks have added `rate` (one number per time) to all times, and the next one too.
Whether this goes on for m periods is tried by doing the period from there. A convex function that
is on a straight line at three places is on it all the way between, so if that period adds `rate`
and the sum of all times that it computes is on the line, no maximum has changed hands on the way,
and each counter has grown by an arithmetic series. In steady state all rates are equal and the leap
goes to the next tick that has to be seen; while FIFOs fill up, to where the first of them is full.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..model.state import Ints, State, Tables
from . import engine


@dataclass(frozen=True)
class Period:
    """What some ticks in a row have done: the image after them, what they have added to it and to
    the idle cycles, and the sum of all times that they computed."""

    image: Ints
    rate: Ints
    idle: Ints
    total: int


@dataclass(frozen=True)
class Play:
    """A run on its way, and a copy of its state for trials, which record nothing."""

    table: Tables
    state: State
    copy: State
    samples: int
    first: int

    def period(self, ticks: int, before: Ints) -> Period:
        """Do `ticks` ticks of stage 0 and whatever follows from them; the image is now `before`."""
        return self._period(self.state, ticks, before)

    def trial(self, start: Ints, leap: int, ticks: int) -> Period:
        """What a period does that begins `leap` ticks later, at the image `start`."""
        for part, own in zip(self.copy[:-2], self.state[:-2], strict=True):
            np.copyto(part, own)
        engine.put(self.table, self.copy, start[_counts(self.table) :], leap)
        return self._period(self.copy, ticks, start)

    def _period(self, state: State, ticks: int, before: Ints) -> Period:
        after, idle, stop = (
            np.empty_like(before),
            state.idle.copy(),
            self.samples + self.table.delay,
        )
        stop[0] = state.tick[0] + ticks
        state.total[0] = 0
        engine.run(self.table, state, self.samples, self.first, stop)
        engine.look(self.table, state, after)
        return Period(after, after - before, state.idle - idle, int(state.total[0]))


def run(table: Tables, state: State, samples: int, window: tuple[int, int]) -> bool:
    """What `engine.run` does to the end of the run, in a time that hardly grows with `samples`."""
    watched = _watched(table, window)
    play = Play(table, state, _copy(state), samples, window[0])
    stop, images = samples + table.delay, (_image(table), _image(table), _image(table))
    while ticks := engine.find(table, state, samples, window[0], stop.copy(), images):
        _leap(play, ticks, watched)
    return engine.run(table, state, samples, window[0], stop)


def _leap(play: Play, ticks: int, watched: Ints) -> None:
    """Do three periods; if they are alike, leap over as many more as are proven to be. A leap takes
    room for at least one more and for the one that proves it.

    Where times are equal on the way in or out, another one may count as the cause of a wait. So
    idle cycles are taken from the second and third period, and the last proven is not leapt over.
    """
    if _room(play.state, watched) < 5 * ticks:
        return
    now = _image(play.table)
    engine.look(play.table, play.state, now)
    one = play.period(ticks, now)
    two = play.period(ticks, one.image)
    three = play.period(ticks, two.image)
    counts, grows = _counts(play.table), three.total - two.total
    if one.rate[:counts].any() or not (_alike(one, two) and _alike(two, three)):
        return
    if two.total - one.total != grows:
        return
    image, rate = three.image, three.rate

    def holds(periods: int) -> bool:
        there = play.trial(image + periods * rate, periods * ticks, ticks)
        straight = there.total == three.total + (periods + 1) * grows
        return straight and _alike(there, three)

    periods = _longest(_room(play.state, watched) // ticks - 1, holds)
    if periods > 0:
        times = (image + periods * rate)[counts:]
        engine.put(play.table, play.state, times, periods * ticks)
        steps = periods * (periods + 1) // 2
        play.state.busy[:] += periods * ticks * play.table.cycles
        more = (three.idle - two.idle).astype(object)  # `steps` may pass 64 bits, idle does not
        play.state.idle[:] += periods * three.idle + (steps * more).astype(np.int64)


def _copy(state: State) -> State:
    small = (state.slices[:, :0], state.moves[:, :0])
    return State(*(np.array(part) for part in (*state[:-2], *small)))


def _alike(one: Period, other: Period) -> bool:
    return bool((one.rate == other.rate).all())


def _longest(most: int, holds: Callable[[int], bool]) -> int:
    """The largest number from 1 to `most` that holds, if all below do too; 0 if there is none."""
    if not holds(1):
        return 0
    if holds(most):
        return most
    low, high = 1, 2
    while high < most and holds(high):
        low, high = high, 2 * high
    high = min(high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _watched(table: Tables, window: tuple[int, int]) -> Ints:
    """Per unit three ranges of ticks, both ends included, that must not be leapt over: where the
    interval is measured, what is recorded, and the end."""
    (first, count), units = window, table.delay.size
    recorded = np.full(units, first - table.depth.max(initial=0)), first + count - 1 + table.delay
    if not count:
        recorded = np.full(units, -1), np.full(units, -1)
    end = table.full_to, np.full(units, np.iinfo(np.int64).max)
    ranges = [(table.steady_from, table.steady_from), recorded, end]
    return np.stack([np.stack(ends, axis=1) for ends in ranges], axis=1)


def _room(state: State, watched: Ints) -> int:
    """Ticks that every unit may leap over; 0 or less if one is in a tick that is watched."""
    tick, (begin, end) = state.tick[:, None], np.moveaxis(watched, 2, 0)
    return int(np.where(tick <= end, begin - tick, np.iinfo(np.int64).max).min())


def _counts(table: Tables) -> int:
    """How many entries of an image are counts; those behind them are times."""
    return 2 * (table.delay.size + table.depth.size)


def _image(table: Tables) -> Ints:
    times = 4 * table.delay.size + table.depth.size + 8 * int(table.depth.sum())
    return np.zeros(_counts(table) + times, np.int64)
