"""Hand-made plan documents: chains and graphs with skips, with every number chosen by the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from weft.compiler.plan.document import EdgeRecord, PlanDocument, Totals
from weft.compiler.plan.stage_record import (
    NonZeros,
    PEMemory,
    PhaseCycles,
    Rectangle,
    Region,
    RegionUse,
    SourceRecord,
    StageRecord,
    Tiling,
)
from weft.compiler.targets.constant import MachineConstant

Cycles = tuple[int, int, int]
CONSTANTS = {
    "noc.link_bytes_per_cycle": 4,
    "noc.hop_cycles": 1,
    "noc.ramp_cycles": 2,
    "host.bytes_per_s": 1e12,
    "host.latency_s": 0,
}


def stage(index: int, cycles: Cycles, delay: int, sources: Sequence[int]) -> StageRecord:
    region = Rectangle(row=0, column=10 * index, height=4, width=8)
    return StageRecord(
        index=index,
        id=f"layer{index}",
        module=f"layers.{index}",
        source=f"net.py:{index + 1}",
        program="p",
        parameters=(),
        forward_state=(),
        backward_state=(),
        inputs=tuple(SourceRecord(source, 0) for source in sources),
        operators=(),
        uses=(RegionUse(Region(f"r{index}", region, Tiling(2, 2, 8)), "all", sum(cycles)),),
        cycles=PhaseCycles(*cycles),
        macs_dense=4000,
        macs_effective=1000,
        nonzeros=NonZeros(100, 25, 0.8, 3, 3),
        memory_per_pe=PEMemory(100 * (index + 1), 50, 25, 400, 0, 10, 30, 0),
        bound_by="compute",
        recompute=False,
        rebuilds=False,
        anchors=(),
        delay=delay,
        fifo_depth=delay + 1,
        off_wafer_bytes=0,
    )


def edge(
    source: int,
    sink: int,
    forward_bytes: int = 0,
    gradient_bytes: int = 0,
    depth: int = 0,
    parts: int = 1,
    window: int = 1,
) -> EdgeRecord:
    """From region centre to region centre along row 2; streams are 8 links wide."""
    corners = ((2, 10 * source + 4 if source >= 0 else 0), (2, 10 * sink + 4))
    hops = corners[1][1] - corners[0][1]
    gradient = gradient_bytes if source >= 0 else 0
    depth = depth or sink - source
    return EdgeRecord(
        source, sink, (0,), forward_bytes, gradient, 0, corners, hops, depth, parts, window, window
    )


def plan(
    cycles: Sequence[Cycles],
    edges: Sequence[EdgeRecord],
    constants: Mapping[str, float | str] = CONSTANTS,
    clock_hz: float = 1e9,
) -> PlanDocument:
    """A pipelined plan of len(cycles) stages side by side, each 4 x 8 PEs."""
    count = len(cycles)
    stages = tuple(
        stage(i, c, 2 * (count - 1 - i), [e.source for e in edges if e.sink == i])
        for i, c in enumerate(cycles)
    )
    slowest = max(sum(c) for c in cycles)
    return PlanDocument(
        format=4,
        weft_version="0",
        model="handmade",
        fingerprint="f",
        mode="pipelined",
        granularity="layer",
        target="paper",
        target_hash="h",
        clock_hz=clock_hz,
        grid=(16, 10 * count + 4),
        wafers=1,
        fit=(),
        witness="off",
        recipe={},
        inputs=(),
        parameters=(),
        state=(),
        masks=(),
        shares_of_zeros={},
        dynamic=(),
        optimizer_states=1,
        loss=SourceRecord(count - 1, 0),
        predictions=(),
        stages=stages,
        edges=tuple(edges),
        totals=Totals(
            initiation_interval_cycles=slowest,
            latency_cycles=sum(c[0] + c[1] for c in cycles),
            host_latency_cycles=0,
            throughput_samples_per_s=clock_hz / slowest,
            utilisation=0.5,
            bound_by="compute",
            pes_used=32 * count,
            pes_usable=16 * (10 * count + 4),
            wafer_share=0.2,
            wafers_used=1,
            wafers_least=1,
            macs_dense=4000 * count,
            macs_effective=1000 * count,
            max_memory_per_pe_bytes=100 * count + 515,
            memory_capacity_per_pe_bytes=100 * count + 1000,
        ),
        files={},
        provenance=tuple(MachineConstant(n, v, "test", "assumed") for n, v in constants.items()),
    )


def chain(cycles: Sequence[Cycles], size: int = 0, depth: int = 1) -> PlanDocument:
    """Host -> 0 -> 1 -> ...; every stream carries `size` bytes each way in a FIFO of `depth`.

    With size 0 gradients still flow (1 byte), so that every backward waits for the next stage's.
    """
    edges = [edge(-1, 0, size)]
    edges += [edge(i, i + 1, size, max(size, 1), depth) for i in range(len(cycles) - 1)]
    return plan(cycles, edges)


def with_cycles(document: PlanDocument, index: int, cycles: Cycles) -> PlanDocument:
    stages = list(document.stages)
    stages[index] = stages[index].with_cycles(PhaseCycles(*cycles))
    return replace(document, stages=tuple(stages))


def moved(
    stage: StageRecord, rectangle: Rectangle | None = None, tiling: Tiling | None = None
) -> StageRecord:
    """The stage with its region elsewhere, or laid out otherwise."""
    use = stage.uses[0]
    region = replace(
        use.region,
        rectangle=rectangle or use.region.rectangle,
        tiling=tiling or use.region.tiling,
    )
    return replace(stage, uses=(replace(use, region=region),))


def apart(document: PlanDocument, *indices: int) -> PlanDocument:
    """The forward of these stages on a region of its own, above one of backward and update. Ticks
    of the others but the last are to begin with the backward."""
    stages = list(document.stages)
    for index in indices:
        region = stages[index].uses[0].region
        top = region.rectangle
        below = replace(top, row=top.row + top.height)
        uses = tuple(
            RegionUse(
                replace(region, id=f"{region.id}{purpose}", rectangle=rectangle),
                purpose,
                stages[index].cycles.of(purpose),
            )
            for purpose, rectangle in (("forward", top), ("backward", below))
        )
        depth = stages[index].delay + 1
        stages[index] = replace(stages[index], uses=uses, backward_first=False, fifo_depth=depth)
    return replace(document, stages=tuple(stages))


def backward_first(document: PlanDocument) -> PlanDocument:
    """The ticks of all stages but the last begin with the backward."""
    *others, last = document.stages
    first = (replace(one, backward_first=True, fifo_depth=one.delay) for one in others)
    return replace(document, stages=(*first, last))


def sharing(document: PlanDocument, *together: int) -> PlanDocument:
    """These stages on the region of the first of them."""
    region = document.stages[together[0]].uses[0].region
    stages = [
        replace(stage, uses=(replace(stage.uses[0], region=region),))
        if stage.index in together
        else stage
        for stage in document.stages
    ]
    return replace(document, stages=tuple(stages))


def with_depths(document: PlanDocument, extra: int) -> PlanDocument:
    edges = tuple(replace(e, depth=e.depth + extra) for e in document.edges)
    return replace(document, edges=edges)


def with_constants(document: PlanDocument, **factors: float) -> PlanDocument:
    """Constants scaled; names with '__' for the dot."""
    scale = {name.replace("__", "."): factor for name, factor in factors.items()}
    entries = tuple(
        replace(entry, value=entry.value * scale.get(entry.name, 1))
        for entry in document.provenance
    )
    return replace(document, provenance=entries)
