"""Tiles that PEs of a line exchange, alone or while the core computes.

A word takes a cycle of its link. A beat (`software.beat_bytes`) takes a cycle of the datapath
between memory and ramp, and the ramp passes it a word per cycle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..targets.target import Target
from .arrays import Floats, Ints, ceil_div
from .collectives import step_cycles
from .instruction import software


@dataclass(frozen=True)
class Message:
    """A message: its link words, and the beats in which it passes the datapath."""

    words: Ints
    beats: Ints


def message(target: Target, size_bytes: Ints | int) -> Message:
    """Whole link words of a tile, in whole beats; what does not fill a word stays at home."""
    words = np.asarray(size_bytes) // target.noc.link_bytes_per_cycle
    return Message(words, ceil_div(words, _beat_words(target)))


def blocking_cycles(target: Target, of: Message) -> Floats:
    """Send a tile, then take one: the ramp passes every beat twice, a word per cycle."""
    passed = (2 * _beat_words(target) * of.beats).astype(np.float64)
    return software(target, "exchange_cycles") + passed


def overlapped_cycles(compute: Floats | float, *messages: Message) -> Floats:
    """Compute while tiles leave and arrive, each on a link of its own.

    Either the datapath is the limit (arithmetic and the beats of both ways), or the links are.
    """
    beats = np.sum([one.beats for one in messages], axis=0)
    longest = np.maximum.reduce([np.asarray(one.words) for one in messages])
    return np.maximum(compute + 2 * beats, longest + beats)


def shift_cycles(target: Target, of: Message, pes: Ints, repeats: Ints) -> Floats:
    """Every PE of a line sends a tile to the next and takes one, blocking, `repeats` times.

    The first PE waits for nobody; how late its neighbours run travels one PE per exchange, so that
    the last one waits `pes` - 1 times for a word's way.
    """
    start = target.vector.loop_cycles + target.noc.issue_cycles
    waits = np.minimum(repeats, pes - 1) * step_cycles(target.noc)
    return start + repeats * blocking_cycles(target, of) + waits


def _beat_words(target: Target) -> int:
    return max(1, int(software(target, "beat_bytes")) // target.noc.link_bytes_per_cycle)
