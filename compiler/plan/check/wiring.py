"""Rules about streams: one edge for every input and no other; depths, bytes and routes agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from ..document import HOST, EdgeRecord, PlanDocument
from ..stage_record import Rectangle
from .identity import tensor_bytes
from .violation import Finding, Subject

Wires = dict[tuple[int, int], set[int]]


def edges_match_inputs(subject: Subject) -> Iterator[Finding]:
    """There is exactly one edge per (source, sink) that the stage inputs name, with its outputs."""
    wanted = _wires(subject.plan)
    seen: Wires = {}
    for edge in subject.plan.edges:
        pair = (edge.source, edge.sink)
        if pair in seen:
            yield Finding(_where(edge), "one edge for this pair", "a second one")
        seen[pair] = set(edge.outputs)
        if pair not in wanted:
            yield Finding(_where(edge), "no such edge: no stage input asks for it", "an edge")
        elif len(edge.outputs) != len(seen[pair]) or seen[pair] != wanted[pair]:
            yield Finding(f"{_where(edge)}.outputs", sorted(wanted[pair]), list(edge.outputs))
    for source, sink in sorted(set(wanted) - set(seen)):
        yield Finding(f"edge {source} -> {sink}", "an edge for this stage input", "none")


def forward_only(subject: Subject) -> Iterator[Finding]:
    """A stage reads only from the host or from stages before it."""
    for position, stage in enumerate(subject.plan.stages):
        for number, source in enumerate(stage.inputs):
            if not HOST <= source.stage < position or source.output < 0:
                where, got = f"{stage.id}.inputs[{number}]", f"{source.stage}.{source.output}"
                yield Finding(where, f"an output of the host or a stage before {position}", got)


def edge_depths(subject: Subject) -> Iterator[Finding]:
    """An edge that spans n stages holds the n samples between them; the host sends just in time."""
    for edge in subject.plan.edges:
        expected = 1 if edge.source == HOST else edge.sink - edge.source
        if edge.depth != expected:
            yield Finding(f"{_where(edge)}.depth", expected, edge.depth)


def stream_parts(subject: Subject) -> Iterator[Finding]:
    """A sample has at least one part, and its readers begin with 1 to all of them."""
    for edge in subject.plan.edges:
        if edge.parts < 1:
            yield Finding(f"{_where(edge)}.parts", "1 or more", edge.parts)
        for name in ("window", "gradient_window"):
            if not 1 <= getattr(edge, name) <= max(edge.parts, 1):
                expected = f"1 to {edge.parts} parts"
                yield Finding(f"{_where(edge)}.{name}", expected, getattr(edge, name))


def edge_bytes(subject: Subject) -> Iterator[Finding]:
    """Forward bytes are what the source puts out, gradient bytes what flows back for it, rebuilt
    bytes what the sink gives back of it."""
    for edge in subject.plan.edges:
        least = min(edge.forward_bytes, edge.gradient_bytes, edge.rebuilt_bytes)
        if least < 0:
            yield Finding(_where(edge), "no negative bytes", least)
        forward, back = _forward_bytes(subject, edge), _gradient_bytes(subject, edge)
        if forward is not None and edge.forward_bytes != forward:
            yield Finding(f"{_where(edge)}.forward_bytes", forward, edge.forward_bytes)
        if back is not None and edge.gradient_bytes != back:
            yield Finding(f"{_where(edge)}.gradient_bytes", back, edge.gradient_bytes)
        rebuilt = _rebuilt_bytes(subject, edge)
        if rebuilt is not None and edge.rebuilt_bytes != rebuilt:
            yield Finding(f"{_where(edge)}.rebuilt_bytes", rebuilt, edge.rebuilt_bytes)


def routes_join_centres(subject: Subject) -> Iterator[Finding]:
    """A route runs along rows and columns from the source's centre to the sink's."""
    stages = subject.plan.stages
    for edge in subject.plan.edges:
        ends = [(edge.sink, edge.route[-1:])]
        ends += [(edge.source, edge.route[:1])] if edge.source != HOST else []
        for index, corner in ends:
            if not 0 <= index < len(stages):
                continue
            centre = _centre(stages[index].region, subject.plan.grid[1])
            if not _is_centre(corner, centre):
                expected = f"({centre[0]}, {centre[1]}), the centre of {stages[index].id}"
                yield Finding(f"{_where(edge)}.route", expected, list(corner))


def route_hops(subject: Subject) -> Iterator[Finding]:
    """hops is the L1 length of the route."""
    for edge in subject.plan.edges:
        steps = list(pairwise(edge.route))
        length = sum(abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in steps)
        if edge.hops != length:
            yield Finding(f"{_where(edge)}.hops", length, edge.hops)
        if any(a[0] != b[0] and a[1] != b[1] for a, b in steps):
            yield Finding(f"{_where(edge)}.route", "rows and columns only", list(edge.route))


def _wires(plan: PlanDocument) -> Wires:
    wires: Wires = defaultdict(set)
    for position, stage in enumerate(plan.stages):
        for source in stage.inputs:
            wires[source.stage, position].add(source.output)
    return dict(wires)


def _forward_bytes(subject: Subject, edge: EdgeRecord) -> int | None:
    """Bytes of the edge's outputs; None where the program or the output is not known."""
    sizes = _output_sizes(subject, edge.source)
    if any(not 0 <= output < len(sizes) for output in edge.outputs):
        return None
    return sum(sizes[output] for output in edge.outputs)


def _output_sizes(subject: Subject, stage: int) -> list[int]:
    stages = subject.plan.stages
    if stage == HOST:
        return [tensor_bytes(record) or 0 for record in subject.plan.inputs]
    program = subject.programs.get(stages[stage].program) if 0 <= stage < len(stages) else None
    return [spec.size_bytes for spec in program.outputs] if program else []


def _gradient_bytes(subject: Subject, edge: EdgeRecord) -> int | None:
    """Bytes of the gradients of the sink's inputs that come from the source and need one."""
    stages = subject.plan.stages
    if edge.source == HOST:
        return 0
    sink = stages[edge.sink] if 0 <= edge.sink < len(stages) else None
    program = subject.programs.get(sink.program) if sink else None
    if sink is None or program is None or len(program.inputs) != len(sink.inputs):
        return None
    reads = zip(sink.inputs, program.inputs, program.input_needs_grad, strict=True)
    return sum(
        spec.size_bytes for origin, spec, needed in reads if needed and origin.stage == edge.source
    )


def _rebuilt_bytes(subject: Subject, edge: EdgeRecord) -> int | None:
    """Bytes of the sink's inputs that come from the source and that its backward gives back."""
    stages = subject.plan.stages
    sink = stages[edge.sink] if 0 <= edge.sink < len(stages) else None
    program = subject.programs.get(sink.program) if sink else None
    if sink is None or program is None or len(program.inputs) != len(sink.inputs):
        return None
    given = [(sink.inputs[number], program.inputs[number]) for number in program.rebuilt]
    return sum(spec.size_bytes for origin, spec in given if origin.stage == edge.source)


def _centre(region: Rectangle, columns: int) -> tuple[float, float]:
    """The middle of a region; columns of later wafers count on from those before them."""
    column = region.wafer * columns + region.column
    return region.row + region.height / 2, column + region.width / 2


def _is_centre(corner: tuple[tuple[int, int], ...], centre: tuple[float, float]) -> bool:
    """The middle of an odd size falls inside a PE, that of an even size between two."""
    if not corner:
        return False
    return all(abs(at - middle) <= 0.5 for at, middle in zip(corner[0], centre, strict=True))


def _where(edge: EdgeRecord) -> str:
    return f"edge {edge.source} -> {edge.sink}"
