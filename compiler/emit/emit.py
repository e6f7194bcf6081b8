"""The last arrow: everything decided becomes one document.

Stages, Placement --emit--> Plan
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from ..machine.version import written_version
from ..mapping.choices import PlacedStage, Placement
from ..place.slow import slowed
from ..place.streams import Streams
from ..plan.causes import are_ports_full, stage_bound
from ..plan.document import FORMAT_VERSION, LeverRecord, PlanDocument, TensorRecord
from ..plan.plan import Plan
from ..plan.program import Stage, Stages
from ..plan.program_graph import kept_inputs
from ..plan.stage_record import Region, RegionUse, SourceRecord, StageRecord, pacing
from ..plan.training import Training
from ..targets.target import Target
from ..timing.layout import Layout, StageSite
from ..timing.totals import totals


@dataclass(frozen=True)
class Labels:
    """What a plan says about where it came from."""

    model: str
    mode: str = "training"
    granularity: str = "finest"
    fit: tuple[LeverRecord, ...] = ()
    witness: str = "off"
    recipe: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Emit:
    """Write down stages and placement as a plan: records, edges with routes, totals.

    before: stage 0: 8 x 16 PEs at (0, 0)           after: stages: [{index: 0, region: ..., ...}]
            stage 1: 4 x 16 PEs at (8, 0)                  edges: [{source: 0, sink: 1, ...}]
    """

    labels: Labels
    training: Training = field(default_factory=Training)

    def __call__(self, stages: Stages, placement: Placement, tensors: Mapping[str, Tensor]) -> Plan:
        return emit(stages, placement, tensors, self.training, self.labels)


def emit(
    stages: Stages,
    placement: Placement,
    tensors: Mapping[str, Tensor],
    training: Training,
    labels: Labels,
) -> Plan:
    """The plan of placed stages. `tensors` are the model's parameters and state by name."""
    placement, target, masks = slowed(placement), placement.target, training.tensors
    inputs = tuple(
        TensorRecord(f"input_{i}", spec.shape, spec.dtype)
        for i, spec in enumerate(stages.model_inputs)
    )
    parameters = _tensor_records(stages, "parameters")
    ports = _are_ports_full(target, (*parameters, *inputs))
    first = {region: users[0].stage for region, users in placement.by_region.items()}
    records = tuple(
        _stage_record(stage, placed, first[placed.region], stages.delay(stage.index), ports)
        for stage, placed in zip(stages.stages, placement.placed, strict=True)
    )
    edges = Streams(stages).edges(placement)
    layout = Layout(
        name=f"plan of {labels.model} for {target.name}",
        clock_hz=target.clock_hz,
        grid=(target.rows, target.columns),
        wafers=target.wafers,
        sites=tuple(map(StageSite.of, records)),
        edges=edges,
        constants=target.constants(),
    )
    document = PlanDocument(
        format=FORMAT_VERSION,
        weft_version=written_version(),
        model=labels.model,
        fingerprint=_fingerprint(stages),
        mode=labels.mode,
        granularity=labels.granularity,
        target=target.name,
        target_hash=target.hash,
        clock_hz=target.clock_hz,
        grid=(target.rows, target.columns),
        wafers=target.wafers,
        witness=labels.witness,
        recipe=dict(labels.recipe),
        fit=labels.fit,
        inputs=inputs,
        parameters=parameters,
        state=_tensor_records(stages, "forward_state", "backward_state"),
        masks=tuple(sorted(masks)),
        shares_of_zeros=training.shares_of_zeros,
        dynamic=tuple(sorted(training.dynamic)),
        optimizer_states=training.optimizer_states,
        loss=SourceRecord(stages.loss.stage, stages.loss.output),
        predictions=tuple(SourceRecord(s.stage, s.output) for s in stages.predictions),
        stages=records,
        edges=edges,
        totals=totals(layout, records, target, placement.wafers_least),
        files={},
        provenance=layout.constants,
    )
    programs = {stage.program.key: stage.program for stage in stages.stages}
    return Plan(document, programs, dict(tensors), masks)


def _stage_record(
    stage: Stage, placed: PlacedStage, first: int, delay: int, ports: bool
) -> StageRecord:
    """The record of a stage; stage `first` is the first on its region."""
    choice = placed.choice
    pairs = zip(choice.purposes, placed.parts, strict=True)
    uses = tuple(
        RegionUse(
            Region(_name(first, purpose), part, choice.tiling, placed.is_turned),
            purpose,
            choice.cycles.of(purpose),
        )
        for purpose, part in pairs
    )
    return StageRecord(
        index=stage.index,
        id=f"s{stage.index:02d}:{stage.name}",
        module=stage.origin.module,
        source=f"{stage.origin.file}:{stage.origin.line}" if stage.origin.file else "",
        program=stage.program.key,
        parameters=stage.parameters,
        forward_state=stage.forward_state,
        backward_state=stage.backward_state,
        inputs=tuple(SourceRecord(source.stage, source.output) for source in stage.inputs),
        operators=tuple(choice.operators),
        uses=uses,
        cycles=choice.cycles,
        macs_dense=sum(operator.macs_dense for operator in choice.operators),
        macs_effective=sum(operator.macs_effective for operator in choice.operators),
        nonzeros=choice.nonzeros,
        memory_per_pe=choice.memory,
        bound_by=stage_bound(pacing(choice.operators, uses), ports),
        recompute=stage.program.recomputes,
        rebuilds=bool(stage.program.arriving),
        anchors=kept_inputs(stage.program),
        delay=delay,
        fifo_depth=delay + 1 - choice.backward_first,
        off_wafer_bytes=stage.program.saved_bytes if stage.off_wafer else 0,
        backward_first=choice.backward_first,
    )


def _name(first: int, purpose: str) -> str:
    """`r07`, or of the parts of stage 7 `r07forward` and `r07backward`."""
    return f"r{first:02d}{'' if purpose == 'all' else purpose}"


def _are_ports_full(target: Target, tensors: Sequence[TensorRecord]) -> bool:
    """For the type that the plan computes in: that of its first floating-point tensor."""
    floating = [tensor.dtype for tensor in tensors if "float" in tensor.dtype]
    dtype = floating[0] if floating else "float32"
    rate = target.arithmetic(dtype).elements_per_cycle
    return are_ports_full(4 if dtype == "float32" else 2, rate, target.sram.read_bytes_per_cycle)


def _tensor_records(stages: Stages, *roles: str) -> tuple[TensorRecord, ...]:
    found: dict[str, TensorRecord] = {}
    for stage in stages.stages:
        for role in roles:
            names, specs = getattr(stage, role), getattr(stage.program, role)
            for name, spec in zip(names, specs, strict=True):
                found[name] = TensorRecord(name, spec.shape, spec.dtype)
    return tuple(found.values())


def _fingerprint(stages: Stages) -> str:
    """Hash of what is computed: programs, the tensors bound to them, and the wiring."""
    content = [
        [
            stage.program.key,
            stage.parameters,
            stage.forward_state,
            stage.backward_state,
            [(source.stage, source.output) for source in stage.inputs],
        ]
        for stage in stages.stages
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
