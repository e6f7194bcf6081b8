"""The streams between placed stages, and the pace of stages and streams together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...backend.per_object import once_per_object
from ..mapping.choices import Placement
from ..plan.document import EdgeRecord
from ..plan.program import HOST, Stages, TensorSpec
from ..plan.stage_record import Rectangle
from ..stages.skip_streams import EdgeBytes, edge_bytes
from ..targets.target import Target
from ..timing.layout import Layout, StageSite
from ..timing.pace import Pace, pace_of
from . import row_windows
from .route import route
from .row_windows import Parts
from .slow import slowed


@dataclass(frozen=True)
class Streams:
    """The streams of a network, for any placement of its stages; of one machine, if it is given,
    instead of that for which they were placed."""

    stages: Stages
    target: Target | None = None

    def pace(self, placement: Placement) -> Pace:
        """The steady pace of a placement, as the plan's totals will say it."""
        target = self.target or placement.target
        return pace_of(
            Layout(
                name=f"placement on {target.name}",
                clock_hz=target.clock_hz,
                grid=(target.rows, target.columns),
                wafers=target.wafers,
                sites=tuple(self._sites(slowed(placement))),
                edges=self.edges(placement),
                constants=target.constants(),
            )
        )

    def edges(self, placement: Placement) -> tuple[EdgeRecord, ...]:
        """One record per stream, by source and sink."""
        return tuple(self._edges(placement))

    @property
    def _sizes(self) -> Mapping[tuple[int, int], EdgeBytes]:
        return _sizes(self.stages)

    def _edges(self, placement: Placement) -> Iterator[EdgeRecord]:
        regions = {placed.stage: placed.region for placed in placement.placed}
        for (source, sink), size in self._sizes.items():
            region = regions[sink]
            start, columns = regions.get(source, _port(region)), placement.target.columns
            corners, hops = route(start.on_chain(columns), region.on_chain(columns))
            parts = self._parts(placement, source, sink)
            yield EdgeRecord(
                source=source,
                sink=sink,
                outputs=self.stages.dag.edges[source, sink]["outputs"],
                forward_bytes=size.forward,
                gradient_bytes=size.gradient,
                rebuilt_bytes=size.rebuilt,
                route=corners,
                hops=hops,
                depth=1 if source == HOST else sink - source,
                parts=parts.count,
                window=parts.window,
                gradient_window=parts.gradient_window,
            )

    def _parts(self, placement: Placement, source: int, sink: int) -> Parts:
        """Of several tensors on one stream, the one in the fewest parts counts."""
        reader, stages = self.stages.stages[sink], self.stages.stages
        tilings = [placement.placed[end].choice.tiling for end in (source, sink) if end != HOST]
        windows = row_windows.windows(reader.program)
        mixes = source != HOST and row_windows.mixes_rows(stages[source].program)
        found = [
            row_windows.parts(self._output(source, origin.output), tilings, window, mixes)
            for origin, window in zip(reader.inputs, windows, strict=True)
            if origin.stage == source
        ]
        return min(found, key=lambda parts: (parts.count, -parts.window))

    def _output(self, source: int, output: int) -> TensorSpec:
        if source == HOST:
            return self.stages.model_inputs[output]
        return self.stages.stages[source].program.outputs[output]

    def _sites(self, placement: Placement) -> Iterator[StageSite]:
        last = len(placement.placed) - 1
        for position, placed in enumerate(placement.placed):
            name, delay, choice = f"stage {placed.stage}", 2 * (last - position), placed.choice
            slices, away = choice.tiling.space_split, _away(self.stages).get(placed.stage, 0)
            where = name, placed.region, choice.cycles, "compute", delay
            apart = placed.parts[0] if choice.apart else None
            yield StageSite(*where, slices, away, choice.backward_first, apart)


@once_per_object
def _sizes(stages: Stages) -> Mapping[tuple[int, int], EdgeBytes]:
    """Bytes of every stream, by source and sink."""
    ends = sorted(stages.dag.edges) if stages.stages else []
    return {(source, sink): edge_bytes(stages, source, sink) for source, sink in ends}


@once_per_object
def _away(stages: Stages) -> Mapping[int, int]:
    """Bytes that a sample keeps off the wafer, by the stages that do so."""
    kept = enumerate(stages.stages)
    return {number: stage.program.saved_bytes for number, stage in kept if stage.off_wafer}


def _port(region: Rectangle) -> Rectangle:
    """Where the host's stream enters: its wafer's western edge, level with the region it feeds."""
    return Rectangle(int(region.centre[0]), 0, 1, 1, region.wafer)
