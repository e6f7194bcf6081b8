"""Why a plan cannot hang: the premises, and the rule that they hold.

A stage waits for samples and for room in FIFOs, a stream for both and, where there are fewer
colours or queues than streams, for its turn. If all these waits have times that repeat, nothing
waits for ever. That words on a colour of their own arrive, however long others stand, needs no more
than routers that serve the colours of a link in turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import NamedTuple

from ..document import HOST, PlanDocument
from ..resources import COLOURS, QUEUES, collective_colours, collective_queues
from .paces import CheckedTiming
from .regions.shared import groups_of, is_inside
from .routers import colours_taken, meetings, most_streams, routers_of
from .schedule import FORWARD, CheckedStream, Wait, keeps_pace
from .violation import Finding, Subject


class Premise(NamedTuple):
    """Something that the proof rests on."""

    about: str
    text: str


class Use(NamedTuple):
    """Of colours, or of queues at the stage with the most: streams at one place, how many they
    take, how many collectives keep, and how many there are; infinite if the machine does not say.
    """

    streams: int
    taken: int
    kept: int
    there_are: float

    @property
    def suffices(self) -> bool:
        return self.taken + self.kept <= self.there_are


def cannot_hang(subject: Subject) -> Iterator[Finding]:
    """All waits of stages and streams, turns of those that share a colour or a queue among them,
    can be kept for ever: at a pace at which they come one by one, or at none."""
    timed = subject.timing
    if timed is None:
        return
    waits = (*timed.waits, *_turns(subject.plan, timed))
    if not keeps_pace(waits, 1 + sum(wait.cycles for wait in waits)):
        yield Finding(
            "edges", "waits without a circle", "streams that wait for each other for ever"
        )


def premises(subject: Subject) -> tuple[Premise, ...]:
    """What a sound plan's proof rests on, with the numbers of this plan."""
    plan, timed = subject.plan, subject.timing
    if timed is None or not plan.edges:
        return ()
    turns = len(_turns(plan, timed))
    interval = plan.totals.initiation_interval_cycles
    depths = [edge.depth for edge in plan.edges]
    own = "streams that meet share none" if not turns else f"turns in the order of ticks: {turns:,}"
    return (
        Premise(
            "order",
            f"{len(timed.waits):,} waits of stages, streams and FIFOs have times that repeat every"
            f" {interval:,.0f} cycles",
        ),
        Premise("room", f"FIFOs hold {min(depths)} to {max(depths)} samples"),
        Premise("colours", f"{_text(colour_use(plan, timed.streams), 'on a router')}; {own}"),
        Premise("queues", _text(queue_use(plan, timed.streams), "at a core, each way")),
        Premise("taken as given", "a router serves the colours of a link in turn"),
    )


def _text(use: Use, where: str) -> str:
    there = f"of {use.there_are:,.0f}" if use.there_are < inf else "of a number not known"
    taken = f" ({use.taken} taken)" if use.taken != use.streams else ""
    return f"at most {use.streams} streams {where}{taken} and {use.kept} of collectives, {there}"


def colour_use(plan: PlanDocument, streams: Sequence[CheckedStream]) -> Use:
    """Colours on the routers."""
    return _colours(plan, streams)[0]


def _colours(plan: PlanDocument, streams: Sequence[CheckedStream]) -> tuple[Use, set[int]]:
    """The same, and the streams that meet another."""
    routers = routers_of(plan, streams)
    pairs = meetings(routers)
    taken = colours_taken(pairs, len(streams))
    kept = max(collective_colours(s.part, s.tiling.space_split, len(s.uses)) for s in plan.stages)
    use = Use(most_streams(routers), taken, kept, _limit(plan, COLOURS))
    return use, {number for pair in pairs for number in pair}


def queue_use(plan: PlanDocument, streams: Sequence[CheckedStream]) -> Use:
    """Queues of the stage with the most, into its cores or out of them."""
    there_are, found = _limit(plan, QUEUES), []
    crossing = [stream for stream in streams if not is_inside(plan, stream.edge)]
    ends = Counter(s.sink for s in crossing), Counter(s.source for s in crossing)
    for group in groups_of(plan):
        own = [plan.stages[number] for number in group]
        kept = max(collective_queues(s.part, s.tiling.space_split, len(s.uses)) for s in own)
        streams_of = (sum(end[number] for number in set(group)) for end in ends)
        found += [Use(n, n, kept, there_are) for n in streams_of if n]
    return max(found, key=lambda use: use.taken + use.kept, default=Use(0, 0, 0, there_are))


def _turns(plan: PlanDocument, timed: CheckedTiming) -> list[Wait]:
    """If colours or queues do not suffice: all streams that meet another take turns, one after the
    other, in a tick: gradients of stages whose backward comes first, activations, then the other
    gradients; gradients from the first stage to the last, activations the other way. Whichever of
    them share one, the order of their turns follows from this."""
    streams = timed.streams
    colours, meeting = _colours(plan, streams)
    sharing = set[int]() if colours.suffices else meeting
    if not queue_use(plan, streams).suffices:
        sharing |= {n for own in _with_one_end(plan, streams) if len(own) > 1 for n in own}
    own = sorted((streams[n] for n in sharing), key=lambda stream: _rank(plan, stream))
    following = [*own[1:], *own[:1]]
    return [
        Wait(
            one.event("left"),
            other.event("departs"),
            0,
            _tick(plan, one) - _tick(plan, other) + (other is own[0]),
        )
        for one, other in zip(own, following, strict=True)
    ]


def _rank(plan: PlanDocument, stream: CheckedStream) -> tuple[int, int, int]:
    """Where in a tick a stream has its turn."""
    sink = stream.edge.sink
    if stream.phase == FORWARD:
        return 1, -_tick(plan, stream), sink
    own = plan.stages[sink]
    return 0 if own.backward_first or len(own.uses) > 1 else 2, sink, sink


def _with_one_end(plan: PlanDocument, streams: Sequence[CheckedStream]) -> Iterable[Sequence[int]]:
    """The streams that enter the same region, or leave the same one, by number."""
    place = {number: group[0] for group in groups_of(plan) for number in group}
    found: dict[tuple[str, object], list[int]] = {}
    for number, stream in enumerate(streams):
        if not is_inside(plan, stream.edge):
            for way, end in (("in", stream.sink), ("out", stream.source)):
                at = place.get(end, end) if isinstance(end, int) else end
                found.setdefault((way, at), []).append(number)
    return found.values()


def _tick(plan: PlanDocument, stream: CheckedStream) -> int:
    """Ticks from a sample's entry into the pipeline until the stream carries it."""
    edge, last = stream.edge, len(plan.stages) - 1
    if stream.phase == FORWARD:
        return edge.source if edge.source != HOST else edge.sink - 1
    return 2 * last - edge.sink


def _limit(plan: PlanDocument, name: str) -> float:
    value = next((c.value for c in plan.provenance if c.name == name), None)
    return value if isinstance(value, int | float) and value > 0 else inf
