"""A plan in time: units that work and channels that carry.

Totals, placer and both levels of the simulator, closed form and event, read only this. A unit is a
stage, or one stream of inputs from the host. A channel carries one thing per sample: activations
forward, or gradients back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

from ...backend.errors import UserError
from ..plan.document import HOST, EdgeRecord
from ..plan.stage_record import PhaseCycles
from .host import host_cycles
from .layout import Layout, StageSite
from .link_shares import Mesh, Stream, shares_of
from .streams import is_backwards, is_inside, parallel_links, wafer_link_bytes, wafers_between

FORWARD, BACKWARD = 0, 1
PHASES = ("forward", "backward", "update")
KINDS = ("activations", "gradients")


@dataclass(frozen=True)
class Turn:
    """How a unit shares its region with `others`: its tick k comes in round k + min(lag + k, ahead)
    of the region (see shared_regions.py)."""

    others: tuple[int, ...]
    ahead: int
    lag: int


@dataclass(frozen=True)
class Unit:
    """Something with its own clock that works on one sample after the other.

    A unit that trains does forward(i), backward(i - delay), update(i - delay) for i = 0, 1, 2, ...,
    leaving out samples that do not exist; one that does not (a host stream) does forward only.
    It begins at `start_cycles`. With a `turn` it shares its region.

    If its `update_waits`, the update of a sample comes after the forward that follows the backward,
    just before the next backward. That is the order of a stage whose ticks begin with the backward:
    backward, forward, update; its delay here is one less, as it counts ticks from the forward on.

    If it is `apart`, its forward has PEs of its own: in a tick it runs beside backward and update,
    which are of another sample, and neither begins the next tick before both are done. Its delay
    here is one less, too: the forward of a tick is counted with the backward of the next one.
    """

    name: str
    cycles: tuple[int, int, int]
    delay: int
    trains: bool
    start_cycles: int = 0
    turn: Turn | None = None
    update_waits: bool = False
    apart: bool = False

    @property
    def pace_cycles(self) -> int:
        """Of a tick, if nothing is waited for."""
        forward, backward, update = self.cycles
        return max(forward, backward + update) if self.apart else sum(self.cycles)


@dataclass(frozen=True)
class Channel:
    """A first-in first-out stream between two units, one item per sample.

    An item takes `work_cycles` on the stream's `links` (parallel mesh links), and the stream may
    send one every `occupancy_cycles`, its share of links that others use too (see link_shares.py).
    `latency_cycles` is the flight of its last byte, `depth` the items the stream holds (in flight
    or waiting) beside the one that the producer is writing. An item comes in `parts` equal parts;
    the consumer can begin with `window` of them. `phase` is FORWARD or BACKWARD at both ends;
    `edge` indexes `layout.edges`. `cause` is what gives it its share: 'link' or 'wafer-link'.
    """

    edge: int
    phase: int
    producer: int
    consumer: int
    work_cycles: int
    occupancy_cycles: int
    latency_cycles: int
    depth: int
    links: int
    parts: int
    window: int
    cause: str = "link"

    @property
    def is_whole(self) -> bool:
        """Whether the consumer needs the last part to begin."""
        return self.window >= self.parts


@dataclass(frozen=True)
class Wiring:
    """All units (the stages first, in order, then the host streams) and all channels."""

    units: tuple[Unit, ...]
    channels: tuple[Channel, ...]
    stages: int

    @property
    def host_latency_cycles(self) -> int:
        """Cycles until the host's first byte; 0 if nothing comes from it."""
        return max((unit.start_cycles for unit in self.units), default=0)

    def label(self, channel: Channel) -> str:
        ends = f"{self.units[channel.producer].name} -> {self.units[channel.consumer].name}"
        return f"{ends} ({KINDS[channel.phase]})"


def wire(layout: Layout) -> Wiring:
    """Units and channels of a plan.

    The host's bandwidth is divided among its streams in proportion to their bytes, so each stream
    takes (all input bytes) / (host bytes per cycle) for a sample, or longer, where FIFOs lie with
    the host (host.py). The host's latency is paid once: its streams begin that much later, and
    samples follow each other without a pause.

    Raises UserError for a plan without stages, a FIFO without room, or a missing constant.
    """
    if not layout.sites:
        change = "compile a model with layers"
        raise _refuse(layout, "stages", "at least one stage", "none", change)
    for edge in layout.edges:
        _check(layout, edge)
    fed = [index for index, edge in enumerate(layout.edges) if edge.source == HOST]
    units = [_unit(site) for site in layout.sites]
    host = {edge: len(units) + number for number, edge in enumerate(fed)}
    period = host_cycles(layout)
    start = ceil(layout.constant("host.latency_s") * layout.clock_hz) if fed else 0
    units += [Unit("host", (period, 0, 0), 0, trains=False, start_cycles=start) for _ in fed]
    channels = [
        _channel(layout, index, phase, host)
        for phase in (FORWARD, BACKWARD)
        for index, edge in enumerate(layout.edges)
        if phase == FORWARD or (edge.backward_bytes and edge.source != HOST)
    ]
    return Wiring(tuple(units), _shared(layout, channels), len(layout.sites))


def _unit(site: StageSite) -> Unit:
    is_apart = site.apart is not None
    delay = site.delay - (site.backward_first or is_apart)
    return Unit(
        *(site.id, _cycles(site.cycles), delay),
        trains=True,
        update_waits=site.backward_first,
        apart=is_apart,
    )


def _channel(layout: Layout, index: int, phase: int, host: dict[int, int]) -> Channel:
    edge = layout.edges[index]
    ends = (host.get(index, edge.source), edge.sink)
    producer, consumer = ends if phase == FORWARD else ends[::-1]
    size = edge.forward_bytes if phase == FORWARD else edge.backward_bytes
    if is_inside(edge, layout.regions):
        return _inside(index, phase, ends, edge)
    links = parallel_links(layout.ends[i] for i in (edge.source, edge.sink) if i != HOST)
    work = ceil(size / (links * layout.constant("noc.link_bytes_per_cycle")))
    flight = edge.hops * layout.constant("noc.hop_cycles")
    flight += 2 * layout.constant("noc.ramp_cycles") + _wafer_flight(layout, edge)
    return Channel(
        edge=index,
        phase=phase,
        producer=producer,
        consumer=consumer,
        work_cycles=work,
        occupancy_cycles=work,
        latency_cycles=ceil(flight) if size else 0,
        depth=edge.depth,
        links=links,
        parts=edge.parts,
        window=edge.window if phase == FORWARD else edge.gradient_window,
    )


def _inside(index: int, phase: int, ends: tuple[int, int], edge: EdgeRecord) -> Channel:
    """Between stages of one region nothing crosses a link. Turns keep samples and gradients apart:
    2 depth + 1 of both together rest in the region's memory."""
    producer, consumer = ends if phase == FORWARD else ends[::-1]
    return Channel(index, phase, producer, consumer, 0, 0, 0, 2 * edge.depth + 1, 1, 1, 1)


def _shared(layout: Layout, channels: list[Channel]) -> tuple[Channel, ...]:
    """Every stream with its share of the links on its route; gradients take it the other way.

    The bandwidth between two wafers is divided among all streams that pass there in proportion to
    their bytes, so that each of them sends as often as all together can.
    """
    routes = ((channel, layout.edges[channel.edge].route) for channel in channels)
    streams = tuple(
        Stream(
            route if channel.phase == FORWARD else route[::-1], channel.links, channel.work_cycles
        )
        for channel, route in routes
    )
    cycles = shares_of(Mesh(layout.grid, layout.wafers), streams)
    load = wafer_link_bytes(layout.edges, layout.regions)
    return tuple(
        _between_wafers(layout, replace(channel, occupancy_cycles=ceil(round(share, 6))), load)
        for channel, share in zip(channels, cycles, strict=True)
    )


def _between_wafers(
    layout: Layout, channel: Channel, load: Mapping[int, tuple[int, int]]
) -> Channel:
    """With the cycles that the links between wafers need for its own bytes, and for all bytes that
    pass the busiest of them; as it is if it stays on its wafer.

    Samples follow each other on the way between wafers, through hosts or switches, without waiting
    for room in the FIFO at its end: it holds those under way besides.
    """
    edge = layout.edges[channel.edge]
    own = edge.forward_bytes if channel.phase == FORWARD else edge.backward_bytes
    passed = wafers_between(edge, layout.regions)
    if not (passed and own):
        return channel
    rate = layout.constant("wafer_link.bytes_per_s")
    way = channel.phase ^ is_backwards(edge, layout.regions)
    busiest = max(load[link][way] for link in passed)
    share = ceil(busiest * layout.clock_hz / rate)
    return replace(
        channel,
        work_cycles=max(channel.work_cycles, ceil(own * layout.clock_hz / rate)),
        occupancy_cycles=max(channel.occupancy_cycles, share),
        depth=channel.depth + ceil(_wafer_flight(layout, edge) / share),
        cause="wafer-link" if share > channel.occupancy_cycles else channel.cause,
    )


def _wafer_flight(layout: Layout, edge: EdgeRecord) -> float:
    passed = wafers_between(edge, layout.regions)
    return len(passed) * layout.constant("wafer_link.latency_s") * layout.clock_hz if passed else 0


def _cycles(cycles: PhaseCycles) -> tuple[int, int, int]:
    return cycles.forward_cycles, cycles.backward_cycles, cycles.update_cycles


def _check(layout: Layout, edge: EdgeRecord) -> None:
    name, count = f"edge {edge.source} -> {edge.sink}", len(layout.sites)
    if not (0 <= edge.sink < count and HOST <= edge.source < count):
        raise _refuse(layout, name, f"stages 0 to {count - 1}", name, "run `weft check PLAN`")
    if edge.depth < 1:
        got, change = f"depth {edge.depth}", "give the edge's FIFO a depth of 1 or more"
        raise _refuse(layout, name, "a FIFO that holds at least one sample", got, change)
    if not 1 <= edge.window <= edge.parts or not 1 <= edge.gradient_window <= edge.parts:
        got = f"{edge.parts} parts, windows of {edge.window} and {edge.gradient_window}"
        raise _refuse(layout, name, "windows of 1 to all parts", got, "compile the plan again")


def _refuse(layout: Layout, where: str, expected: str, got: str, change: str) -> UserError:
    return UserError(f"{layout.name}, {where}", expected=expected, got=got, change=change)
