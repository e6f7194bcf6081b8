"""Tiles that neighbours exchange, alone or while the core computes.

A word takes a cycle of its link; a beat (`software.beat_bytes`) takes a cycle of the datapath, on
the way out and again on the way in.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...compiler.targets.target import Target
from .pe import software


@dataclass(frozen=True)
class Tile:
    """A message of whole link words."""

    words: int
    beats: int


def tile_of(target: Target, elements: int, itemsize: int) -> Tile:
    """Whole words of `elements`; what does not fill a word is not sent by these kernels."""
    words = elements * itemsize // target.noc.link_bytes_per_cycle
    beat_words = int(software(target, "beat_bytes")) // target.noc.link_bytes_per_cycle
    return Tile(words, -(-words // beat_words))


def blocking(target: Target, tile: Tile) -> float:
    """Send a tile, receive one, do nothing else: words stream while beats take turns."""
    return software(target, "exchange_cycles") + tile.words + tile.beats


def overlapped(compute: float, *tiles: Tile) -> float:
    """Compute while several tiles leave and arrive, each on a link of its own.

    Either the datapath is the limit (arithmetic and the beats of both ways), or the links are.
    """
    beats = sum(tile.beats for tile in tiles)
    return max(compute + 2 * beats, max(tile.words for tile in tiles) + beats)
