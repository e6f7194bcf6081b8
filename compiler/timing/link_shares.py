"""Mesh links that streams share, and how often each may send: max-min fairness.

A stream is as many lanes side by side as it has links, centred on its route; routers turn every
lane by itself. Every straight piece of it is a rectangle of links of one direction, and streams
share a link where their rectangles of the same direction overlap. Rectangles that meet pairwise
have a corner in common: the link at the largest first row and the largest first column of two of
them. So those corners are all the places where the load can be highest.

A stream that needs w cycles of its links per sample and gets r samples per cycle loads them by
w r; no link is loaded by more than 1. The rates are raised together until a link is full; the
streams through it stay there, the others go on (Bertsekas, Gallager, Data Networks, 1992, section
6.5.2). On a saturated link every stream then passes one sample per (sum of all w) cycles, however
their starts are staggered.

The rate says how often a stream sends: after an item began to leave, the next one does not for 1/r
cycles. The item itself takes w, so a stream that has kept to its rate is not slowed by others that
do: a leaky bucket with room for one item (Cruz, A calculus for network delay, IEEE Trans.
Information Theory 37, 1991). Over any time t a link then carries at most t + (sum of w) cycles of
work. Where bursts meet, real links make an item wait, by 1/r - w at most: then it would come as
late as if all streams always flowed. That much is left out, and on purpose. Nothing that shares a
link by who is active at a moment is monotone: of two streams with an item each, one of which comes
a little earlier, whoever is alone at first must have the whole link, so that one's coming earlier
makes the other late. A rate and a length that do not depend on what others do make all times maxima
of sums: slower stages, links or hosts can only make an item later, and no item is later than with
the links divided once and for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .layout import Layout

EAST, WEST, SOUTH, NORTH = range(4)

Shared = NDArray[np.bool_]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Piece:
    """A straight piece of a stream: links of one direction in rows and columns, ends excluded."""

    stream: int
    direction: int
    rows: tuple[int, int]
    columns: tuple[int, int]


class Mesh(NamedTuple):
    """Rows and columns of one wafer, and how many lie in a chain."""

    grid: tuple[int, int]
    wafers: int


class Stream(NamedTuple):
    """Corners of a stream's route, its links side by side, and what a sample takes of them."""

    route: tuple[tuple[int, int], ...]
    links: int
    work_cycles: int


@lru_cache(maxsize=16)
def shares_of(mesh: Mesh, streams: tuple[Stream, ...]) -> tuple[float, ...]:
    """Cycles per sample of streams that share the links of a mesh fairly. Those of a placement are
    found once: for the plan, its simulation, and other clocks."""
    found: list[Piece] = []
    for number, stream in enumerate(streams):
        if stream.work_cycles:
            found += pieces(mesh, number, stream.route, stream.links)
    work = np.array([stream.work_cycles for stream in streams], np.float64)
    return tuple(fair_cycles(shared_links(found, len(streams)), work).tolist())


def pieces(
    layout: Layout | Mesh, stream: int, route: Sequence[tuple[int, int]], lanes: int
) -> list[Piece]:
    """The pieces of a stream along the corners of its route. A band stays on the wafer."""
    found = []
    for (row, column), (to_row, to_column) in pairwise(route):
        if row == to_row:
            rows = _band(row, lanes, 0, layout.grid[0])
            direction = EAST if to_column > column else WEST
            columns = min(column, to_column), max(column, to_column)
        else:
            rows = min(row, to_row), max(row, to_row)
            direction = SOUTH if to_row > row else NORTH
            wafer = min(column // layout.grid[1], layout.wafers - 1)
            columns = _band(column, lanes, wafer * layout.grid[1], layout.grid[1])
        found.append(Piece(stream, direction, rows, columns))
    return found


def shared_links(found: Sequence[Piece], streams: int) -> Shared:
    """(links, streams): which streams use the links that can be the most loaded, without repeats.

    Every stream uses at least one.
    """
    rows = [np.eye(streams, dtype=bool)]
    for direction in range(4):
        own = [piece for piece in found if piece.direction == direction]
        if own:
            rows.append(_meetings(own, streams))
    every = np.concatenate(rows)
    first: dict[bytes, int] = {}
    for number, users in enumerate(np.packbits(every, axis=1)):
        first.setdefault(users.tobytes(), number)
    return every[list(first.values())]


def fair_cycles(shared: Shared, work_cycles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cycles per sample of every stream under max-min fair rates; never below its own work.

    `work_cycles` is what a stream needs of its links per sample; it may be 0.
    """
    cycles, left = np.zeros(len(work_cycles)), np.ones(len(shared))
    open_, carried = work_cycles > 0, np.zeros(len(shared))
    through, streams = np.nonzero(shared)
    load = np.bincount(through, work_cycles[streams], len(shared))
    users = np.bincount(through[open_[streams]], minlength=len(shared))
    links = _links_of_each(through, streams, len(open_))
    pace = np.where(users > 0, load, 0.0)
    while open_.any():
        slowest = pace.max()
        full = pace >= slowest * (1 - 1e-12)
        settled = np.flatnonzero(open_ & shared[full].any(axis=0))
        cycles[settled], open_[settled] = slowest, False
        for stream in settled:
            carried[links[stream]] += work_cycles[stream]
            users[links[stream]] -= 1
        at = np.unique(np.concatenate([links[stream] for stream in settled]))
        left[at] = np.maximum(left[at] - carried[at] / slowest, 0.0)
        load[at] -= carried[at]
        carried[at] = 0.0
        pace[at] = np.where(users[at] > 0, load[at] / np.maximum(left[at], 1e-300), 0.0)
    return cycles


def _links_of_each(links: Indices, streams: Indices, count: int) -> list[Indices]:
    """The links of every stream, of pairs of a link and a stream that uses it."""
    order = np.argsort(streams, kind="stable")
    return np.split(links[order], np.searchsorted(streams[order], np.arange(1, count)))


def _band(middle: int, lanes: int, begin: int, size: int) -> tuple[int, int]:
    """`lanes` rows or columns around `middle`, of the `size` from `begin` on."""
    lanes = min(lanes, size)
    first = min(max(middle - lanes // 2, begin), begin + size - lanes)
    return first, first + lanes


def _meetings(own: Sequence[Piece], streams: int) -> Shared:
    """Who passes each corner at which two pieces of one direction meet."""
    sides = np.array([(*piece.rows, *piece.columns) for piece in own])
    stream = np.array([piece.stream for piece in own])
    row, last_row, column, last_column = sides.T
    corner_row = np.maximum.outer(row, row)
    corner_column = np.maximum.outer(column, column)
    meets = (corner_row < np.minimum.outer(last_row, last_row)) & (
        corner_column < np.minimum.outer(last_column, last_column)
    )
    end = int(last_column.max())
    places = np.unique(corner_row[meets] * end + corner_column[meets])
    at_row, at_column = (at[:, None] for at in np.divmod(places, end))
    inside = (row <= at_row) & (at_row < last_row)
    inside &= (column <= at_column) & (at_column < last_column)
    users = np.zeros((len(places), streams), bool)
    for number, who in enumerate(stream):
        users[:, who] |= inside[:, number]
    return users
