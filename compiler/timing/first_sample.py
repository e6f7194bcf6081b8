"""Latency, fill, drain and length of a run as lower bounds from longest paths.

Each follows one sample through units that are never held up by other samples, or counts all the
work of one unit from its first input on. Back-pressure can only make them longer.
"""

from __future__ import annotations

from dataclasses import dataclass

from .cycle_ratio import Arc, Critical, Ints, longest_path
from .event_graph import EventGraph, begin, done, given
from .wiring import BACKWARD, FORWARD


@dataclass(frozen=True)
class Times:
    """Lower bounds in cycles, named as in `SimReport`."""

    forward_latency: int
    backward_latency: int
    fill: int
    drain: int
    cycles: int


def latency_cycles(graph: EventGraph) -> int:
    """Cycles from when the host is asked for a sample until its loss is known, if the sample is
    alone in the pipeline: the host's latency, then the longest path of rows through all forwards.
    """
    return int(alone(graph)[_loss(graph)])


def alone(graph: EventGraph) -> Ints:
    """When everything happens to a sample that is alone in the pipeline."""
    return longest_path(graph.events + 1, _first_sample(graph, 1))


def times_of(graph: EventGraph, critical: Critical, samples: int) -> Times:
    """Bounds for a run of `samples` from an empty pipeline until it is drained."""
    first = longest_path(graph.events + 1, _first_sample(graph, samples))
    stages = range(graph.wiring.stages)
    updated = max(first[given(s, BACKWARD)] + graph.wiring.units[s].cycles[2] for s in stages)
    cycles = max(_work(graph, first, samples), _steady(graph, critical, samples), int(updated))
    return Times(
        forward_latency=int(first[_loss(graph)]),
        backward_latency=int(updated),
        fill=int(first[begin(0, BACKWARD)]),
        drain=_drain(graph, samples),
        cycles=cycles,
    )


def _loss(graph: EventGraph) -> int:
    return given(graph.wiring.stages - 1, FORWARD)


def _first_sample(graph: EventGraph, samples: int) -> tuple[Arc, ...]:
    """Sample 0 alone, but for the forwards that a stage does before its first backward. One more
    event than the graph's is the beginning of the run."""
    arcs: list[tuple[int, int, int]] = []
    for index, unit in enumerate(graph.wiring.units):
        ahead = min(unit.delay, samples - 1)
        arcs.append((graph.events, begin(index, FORWARD), unit.start_cycles))
        arcs.append((given(index, FORWARD), begin(index, BACKWARD), ahead * unit.cycles[FORWARD]))
        for phase in (FORWARD, BACKWARD):
            arcs.append((begin(index, phase), done(index, phase), unit.cycles[phase]))
            arcs.append((done(index, phase), given(index, phase), 0))
    return tuple(Arc(*arc, tokens=0, label=0) for arc in arcs) + graph.carry


def _work(graph: EventGraph, first: Ints, samples: int) -> int:
    """The unit that ends last if each works without a pause from its first input on, and then the
    last sample's gradient goes back to the first stages."""
    tails = longest_path(graph.events + 1, _last_gradient(graph))
    ends = [
        first[begin(index, FORWARD)]
        + samples * unit.pace_cycles
        - unit.cycles[2]
        + tails[given(index, BACKWARD)]
        for index, unit in enumerate(graph.wiring.units)
    ]
    return int(max(ends))


def _last_gradient(graph: EventGraph) -> tuple[Arc, ...]:
    """Arcs backwards in time: the longest path to an event is what must still follow it."""
    sink, channels = graph.events, graph.wiring.channels
    gradients = (arc for arc in graph.carry if channels[arc.label].phase == BACKWARD)
    back = [arc._replace(tail=arc.head, head=arc.tail) for arc in gradients]
    for index, unit in enumerate(graph.wiring.units):
        ends = given(index, BACKWARD), done(index, BACKWARD), begin(index, BACKWARD)
        back.append(Arc(ends[0], ends[1], 0, 0, 0))
        back.append(Arc(ends[1], ends[2], unit.cycles[BACKWARD], 0, 0))
        back.append(Arc(sink, ends[0], unit.cycles[2], 0, 0))
    return tuple(back)


def _steady(graph: EventGraph, critical: Critical, samples: int) -> int:
    """Whole turns of the critical cycle between the first full tick and the last."""
    if critical.ratio is None:
        return 0
    tokens = max(sum(arc.tokens for arc in critical.arcs), 1)
    full = samples - 1 - 2 * max(unit.delay for unit in graph.wiring.units)
    return max(full // tokens, 0) * sum(arc.weight for arc in critical.arcs)


def _drain(graph: EventGraph, samples: int) -> int:
    """After its last forward the first stage owes the samples in flight a backward and update."""
    unit = graph.wiring.units[0]
    return (min(unit.delay, samples - 1) + 1) * (unit.cycles[1] + unit.cycles[2])
