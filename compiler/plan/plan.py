"""The plan in memory: its document, its stage programs, its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from torch import Tensor

from ...backend.frame import frame
from ...backend.optim import MATRIX_RULES
from .document import PlanDocument
from .program import Origin, Source, Stage, StageProgram, Stages, TensorSpec
from .stage_record import PEMemory, StageRecord
from .text.numbers import quantity
from .training import Training, recorded_loads


@dataclass(frozen=True, repr=False)
class Plan:
    """A compiled model: everything the simulator and the executors need, and nothing else.

    `tensors` holds parameters and normalization state by the model's names; it is empty for a
    model compiled without weights (meta device). `masks` maps parameter names to boolean tensors.
    """

    document: PlanDocument
    programs: Mapping[str, StageProgram]
    tensors: Mapping[str, Tensor]
    masks: Mapping[str, Tensor]

    def __repr__(self) -> str:
        """One line: model, machine, stages, throughput."""
        document = self.document
        rate = quantity(document.totals.throughput_samples_per_s)
        count = len(document.stages)
        return f"Plan({document.model} on {document.target}: {count} stages, {rate} samples/s)"

    def _repr_html_(self) -> str:
        """The summary and the floorplan, where a notebook shows a plan."""
        from .picture.floorplan import floorplan_svg, used_part

        drawn = floorplan_svg(self.document, part=used_part(self.document))
        folded = f"<details><summary>floorplan</summary>{drawn}</details>"
        return f"<pre>{escape(self.summary())}</pre>{folded}"

    @property
    def stages(self) -> Stages:
        """The pipeline the executors run."""
        return Stages(
            stages=tuple(self._stage(record) for record in self.document.stages),
            model_inputs=tuple(TensorSpec(r.shape, r.dtype) for r in self.document.inputs),
            loss=Source(self.document.loss.stage, self.document.loss.output),
            predictions=tuple(Source(r.stage, r.output) for r in self.document.predictions),
        )

    def _stage(self, record: StageRecord) -> Stage:
        return Stage(
            index=record.index,
            name=record.id,
            origin=Origin(record.module, *_file_and_line(record.source)),
            program=self.programs[record.program],
            parameters=record.parameters,
            forward_state=record.forward_state,
            backward_state=record.backward_state,
            inputs=tuple(Source(source.stage, source.output) for source in record.inputs),
            off_wafer=record.off_wafer_bytes > 0,
        )

    @property
    def training(self) -> Training:
        """What its mapping was made for."""
        document = self.document
        optimizer: Any = document.recipe.get("optimizer") or {}
        pipeline: Any = document.recipe.get("pipeline") or {}
        globs, name = optimizer.get("by_element"), optimizer.get("name")
        return Training(
            {**document.shares_of_zeros, **self.masks},
            frozenset(document.dynamic),
            document.optimizer_states,
            name if name in MATRIX_RULES else None,
            None if globs is None else tuple(globs),
            in_sequence=pipeline.get("mappings") == "2021",
            apart=pipeline.get("mappings") == "apart",
            loads=recorded_loads(document.stages),
            pe_memory=pipeline.get("pe_memory"),
        )

    def delays(self) -> tuple[int, ...]:
        """Updates between forward and backward of a sample, stage by stage: D_s = 2(S-1-s)."""
        return tuple(record.delay for record in self.document.stages)

    def memory(self) -> dict[str, PEMemory]:
        """Bytes on the fullest PE of each stage, by class; keys are stage ids."""
        return {record.id: record.memory_per_pe for record in self.document.stages}

    def summary(self) -> str:
        """A few lines: stages, cores, throughput, memory."""
        from .text.summary import summarize

        return summarize(self.document)

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row for each stage. Raises UserError without pandas."""
        from .codec import to_data

        nested = ("operators", "parameters", "forward_state", "backward_state", "inputs")
        rows = (to_data(stage) for stage in self.document.stages)
        return frame({k: v for k, v in row.items() if k not in nested} for row in rows)

    def save(self, directory: str | Path) -> Path:
        """Write the plan directory (beside, then renamed); an existing plan there is replaced."""
        from .write import save

        return save(self, Path(directory))


def _file_and_line(source: str) -> tuple[str, int]:
    file, _, line = source.rpartition(":")
    return file, int(line or 0)
