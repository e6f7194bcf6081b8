"""Colours of streams and collectives: who shares one, and in which order they then take turns.

Every router keeps a route for each colour. A stream whose colour is its own on all routers that it
passes blocks no other: its words wait in queues of their own, and links are shared turn by turn.
Where there are fewer colours than streams, some share one. A router then switches that colour from
one stream's route to the next one's (the positions of a colour, or a route that the core programs
again), so a stream waits until the one before it has passed. The order is that of ticks: in a tick
of the pipeline every stream carries one sample; those that share a colour go one after the other:
gradients of stages whose ticks begin with the backward, perhaps beside the forward, activations,
then the other gradients.
Activations go from the last stage to the first, gradients from the first to the last, as stages of
one region do: whoever waits for room waits for one whose turn has been. The same goes for streams
that share a queue between router and core.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from ..plan.resources import COLOURS, QUEUES, collective_colours, collective_queues
from ..plan.stage_record import Rectangle
from .layout import Layout
from .link_shares import EAST, WEST, Mesh, Piece, pieces
from .streams import is_inside
from .wiring import FORWARD, Wiring

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Colours:
    """`colour` of each channel, counted from those that collectives keep; `meets` says which
    channels pass a common router."""

    colour: tuple[int, ...]
    meets: Flags
    queues: tuple[tuple[int, ...], ...]
    """Groups of channels that share a queue of a core."""

    @cached_property
    def sharing(self) -> tuple[tuple[int, int], ...]:
        """Pairs of channels that take turns: one colour on a common router, or one queue."""
        colour = np.array(self.colour)
        same = np.triu(self.meets & (colour[:, None] == colour), 1)
        pairs = {(int(a), int(b)) for a, b in np.argwhere(same)}
        for group in self.queues:
            pairs |= {(a, b) for a in group for b in group if a < b}
        return tuple(sorted(pairs))


def colours_of(layout: Layout, wiring: Wiring) -> Colours:
    """A colour for every channel: the first that is free on all its routers, of the machine's less
    those that collectives keep in the regions; without one, that which the fewest others have."""
    meets = _meets(layout, wiring)
    kept = max(collective_colours(site.end, site.slices, site.parts) for site in layout.sites)
    available = int(max(1, min(layout.limit(COLOURS) - kept, len(wiring.channels))))
    colour: list[int] = []
    for number in range(len(wiring.channels)):
        taken = np.zeros(available, np.int64)
        np.add.at(taken, [colour[n] for n in np.flatnonzero(meets[number, :number])], 1)
        colour.append(int(np.argmin(taken)))
    return Colours(tuple(colour), meets, tuple(_queues(layout, wiring)))


def turns(wiring: Wiring, colours: Colours) -> Iterator[tuple[int, int, int]]:
    """(channel, channel, samples): the second sends what comes after the first's of so many samples
    before, in the order of ticks. Outputs of one stage are given at once; any order of them will
    do."""
    last = wiring.stages - 1
    for pair in colours.sharing:
        a, b = sorted(pair, key=lambda n: _rank(wiring, n))
        if _rank(wiring, a) != _rank(wiring, b):
            one, other = (_tick(wiring, n, last) for n in (a, b))
            yield a, b, one - other
            yield b, a, 1 + other - one


def _rank(wiring: Wiring, number: int) -> tuple[int, int, int]:
    """Where in a tick a channel has its turn."""
    channel = wiring.channels[number]
    producer = channel.producer
    if channel.phase == FORWARD:
        return 1, -_tick(wiring, number, wiring.stages - 1), producer
    unit = wiring.units[producer]
    return 0 if unit.update_waits or unit.apart else 2, producer, producer


def _tick(wiring: Wiring, number: int, last: int) -> int:
    """Ticks from a sample's entry into the pipeline until the channel sends it."""
    channel = wiring.channels[number]
    if channel.phase != FORWARD:
        return 2 * last - channel.producer
    is_host = channel.producer > last
    return channel.consumer - 1 if is_host else channel.producer


def _queues(layout: Layout, wiring: Wiring) -> Iterator[tuple[int, ...]]:
    """Channels into, or out of, one stage that share a queue: as few as there are queues for,
    beside those of the stage's collectives."""
    most = layout.limit(QUEUES)
    kept: dict[Rectangle, int] = defaultdict(int)
    for site in layout.sites:
        own = collective_queues(site.end, site.slices, site.parts)
        kept[site.region] = max(kept[site.region], own)
    for end in ("consumer", "producer"):
        at: dict[Rectangle, list[int]] = defaultdict(list)
        for number, channel in enumerate(wiring.channels):
            stage = getattr(channel, end)
            if stage < wiring.stages and not is_inside(layout.edges[channel.edge], layout.regions):
                at[layout.regions[stage]].append(number)
        for region, numbers in at.items():
            left = max(1, most - kept[region])
            if len(numbers) > left:
                yield from (tuple(numbers[first :: int(left)]) for first in range(int(left)))


def _meets(layout: Layout, wiring: Wiring) -> Flags:
    """Which channels pass a common router, ends included."""
    ways = []
    for channel in wiring.channels:
        route = layout.edges[channel.edge].route
        ways.append((route if channel.phase == FORWARD else route[::-1], channel.links))
    return _meeting(Mesh(layout.grid, layout.wafers), tuple(ways))


@lru_cache(maxsize=4)
def _meeting(mesh: Mesh, ways: tuple[tuple[tuple[tuple[int, int], ...], int], ...]) -> Flags:
    """The same of routes and links side by side; not to be written to."""
    found: list[Piece] = []
    for number, (route, links) in enumerate(ways):
        found += pieces(mesh, number, route, links)
    meets = _overlaps([_with_ends(piece) for piece in found], len(ways))
    meets.flags.writeable = False
    return meets


def _with_ends(piece: Piece) -> tuple[int, int, int, int, int]:
    """Stream, then rows and columns of the routers at both ends of a piece's links."""
    (row, last_row), (column, last_column) = piece.rows, piece.columns
    along_row = piece.direction in (EAST, WEST)
    return piece.stream, row, last_row + (not along_row), column, last_column + along_row


def _overlaps(found: Sequence[tuple[int, int, int, int, int]], streams: int) -> Flags:
    """Which streams have pieces that overlap: each piece, in the order of their rows, against those
    after it that begin before its end."""
    meets = np.zeros((streams, streams), bool)
    if found:
        stream, row, last_row, column, last_column = np.array(sorted(found, key=itemgetter(1))).T
        after = np.searchsorted(row, last_row)
        for at, one in enumerate(stream):
            own = slice(at, after[at])
            both = (column[own] < last_column[at]) & (last_column[own] > column[at])
            meets[one, stream[own][both]] = True
    return meets | meets.T
