"""Colours of streams and queues of cores, router by router, from the plan's records.

Nothing of weft is used here: a plan and a machine are plain data, as their files hold them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from .places import Data, constants, rectangle_of
from .streams import FORWARD, is_inside, streams_of

Key = tuple[int, int]
"""A stream: number of its edge, and its direction."""
Turns = frozenset[frozenset[Key]]
"""Pairs of streams that take turns."""


def colour_faults(
    plan: Data,
    machine: Data,
    colours: Mapping[Key, int],
    in_turns: Turns,
) -> Iterator[str]:
    """Streams of one colour on one router that do not take turns, more colours than the machine has
    beside those of collectives, and turns that nothing asks for."""
    known, every = constants(machine), streams_of(plan)
    left = known["noc.colours"] - max(_kept(plan, number) for number in range(len(plan["stages"])))
    if {stream.key for stream in every} != set(colours):
        yield "other streams have colours than those of the plan"
    if not all(0 <= colour < max(left, 1) for colour in colours.values()):
        yield f"colours {sorted(set(colours.values()))}, there are {left}"
    queued = set[frozenset[Key]]()
    for own, queues in _queued(plan, known):
        queued |= {frozenset((a, b)) for a in own for b in own if a != b}
        if len(_parts(own, in_turns)) > queues:
            yield f"{own} have {queues} queues"
    for number, one in enumerate(every):
        for other in every[:number]:
            clash = bool(one.routers & other.routers) and colours[one.key] == colours[other.key]
            pair = frozenset((one.key, other.key))
            if clash and pair not in in_turns:
                yield f"{one.key} and {other.key} meet with colour {colours[one.key]}"
            if pair in in_turns and not clash and pair not in queued:
                yield f"{one.key} and {other.key} take turns for nothing"


def _kept(plan: Data, number: int) -> int:
    """Colours of the collectives in a stage's region: operands along rows and down columns, what
    comes and what goes of a sum, and three for sums and borders beside."""
    place = rectangle_of(plan, number)
    slices = plan["stages"][number]["uses"][0]["region"]["tiling"]["space_split"]
    axes = (place["width"] > 1) + (place["height"] > 1)
    return axes + 2 * bool(axes) + 3 * (bool(axes) or slices > 1)


def _queued(plan: Data, known: Data) -> Iterator[tuple[list[Key], int]]:
    """Streams into one region, or out of one, that has fewer queues than such streams, and how many
    it has beside those of its collectives."""
    ends: dict[object, list[Key]] = defaultdict(list)
    kept: dict[object, int] = defaultdict(int)
    for number, stage in enumerate(plan["stages"]):
        place, region = rectangle_of(plan, number), stage["uses"][0]["region"]
        axes = (place["width"] > 1) + (place["height"] > 1)
        beside = 2 * (bool(axes) or region["tiling"]["space_split"] > 1)
        kept[region["id"]] = max(kept[region["id"]], axes + bool(axes) + beside)
    for stream in streams_of(plan):
        edge = plan["edges"][stream.edge]
        ways = ("out", "in") if stream.phase == FORWARD else ("in", "out")
        for end, way in zip(("source", "sink"), ways, strict=True):
            if edge[end] >= 0 and not is_inside(plan, edge):
                ends[way, plan["stages"][edge[end]]["uses"][0]["region"]["id"]].append(stream.key)
    for (_, region), own in ends.items():
        left = max(1, known.get("noc.queues", len(own)) - kept[region])
        if len(own) > left:
            yield own, left


def _parts(own: list[Key], in_turns: Turns) -> list[set[Key]]:
    """Streams in groups of those that take turns, one with another."""
    groups: list[set[Key]] = []
    for key in own:
        joined = [g for g in groups if any(frozenset((key, other)) in in_turns for other in g)]
        groups = [g for g in groups if g not in joined] + [{key}.union(*joined)]
    return groups
