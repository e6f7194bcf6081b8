"""A small valid plan document, built by hand: stem -> convolution -> residual sum -> classifier."""

from __future__ import annotations

from itertools import pairwise

import pytest
from weft.compiler.plan.document import EdgeRecord, PlanDocument, TensorRecord, Totals
from weft.compiler.plan.plan import Plan
from weft.compiler.plan.stage_record import (
    NonZeros,
    OperatorCost,
    PEMemory,
    PhaseCycles,
    Rectangle,
    Region,
    RegionUse,
    SourceRecord,
    StageRecord,
    Tiling,
)
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import shipped_recipe
from weft.compiler.targets.load import load_target
from weft.compiler.targets.target import Target

CAPACITY = 12288 - 2048
SLOWEST = 3 * 750
RAMPS = 2 + 2
HALVES = [(258 // 2, 8, 4), (720 // 2, 16, 10), (730 // 2, 16, 10), (740 // 2, 16, 7)]
FIRST_BYTE = 1000
LATENCY = FIRST_BYTE + sum(made + part + hops + RAMPS for made, part, hops in HALVES) + 750
"""A reader begins with two of four parts: when the host or the stage before has made half a sample,
the second part has crossed, and flown some hops between two ramps. Then the last forward."""


@pytest.fixture(scope="session")
def target() -> Target:
    return load_target("tiny_mesh")


@pytest.fixture(scope="session")
def wse2() -> Target:
    return load_target("wse2")


@pytest.fixture(scope="session")
def compiled() -> Plan:
    """ResNet-20 with sparse weights on WSE-2, compiled by the whole path."""
    return compile_recipe(shipped_recipe("demo"))


@pytest.fixture(scope="session")
def document(target: Target) -> PlanDocument:
    stages = _stages()
    area = sum(stage.region.area for stage in stages)
    return PlanDocument(
        format=4,
        weft_version="0.1.0",
        model="small",
        fingerprint="f" * 64,
        mode="training",
        granularity="finest",
        target="tiny_mesh",
        target_hash=target.hash,
        clock_hz=1e9,
        grid=(16, 16),
        wafers=1,
        fit=(),
        witness="float64",
        recipe={"model": {"name": "small"}, "seed": 0},
        inputs=(
            TensorRecord("x", (1, 4, 8, 8), "float32"),
            TensorRecord("labels", (1,), "int64"),
        ),
        parameters=(
            TensorRecord("stem.weight", (8, 4, 3, 3), "float32"),
            TensorRecord("conv.weight", (8, 8, 3, 3), "float32"),
            TensorRecord("norm.bias", (8,), "float32"),
            TensorRecord("head.weight", (10, 8), "float32"),
        ),
        state=(
            TensorRecord("norm.mean", (8,), "float32"),
            TensorRecord("norm.u", (8,), "float32"),
        ),
        masks=("conv.weight",),
        shares_of_zeros={},
        dynamic=("conv.weight",),
        optimizer_states=2,
        loss=SourceRecord(3, 0),
        predictions=(SourceRecord(3, 1),),
        stages=stages,
        edges=_edges(),
        totals=Totals(
            initiation_interval_cycles=float(SLOWEST),
            latency_cycles=LATENCY,
            host_latency_cycles=FIRST_BYTE,
            throughput_samples_per_s=1e9 / SLOWEST,
            utilisation=sum(s.region.area * s.cycles.total_cycles for s in stages)
            / (area * SLOWEST),
            bound_by="compute: layer.head",
            pes_used=area,
            pes_usable=256,
            wafer_share=area / 256,
            wafers_used=1,
            wafers_least=1,
            macs_dense=sum(stage.macs_dense for stage in stages),
            macs_effective=sum(stage.macs_effective for stage in stages),
            max_memory_per_pe_bytes=max(s.memory_per_pe.total_bytes for s in stages),
            memory_capacity_per_pe_bytes=CAPACITY,
        ),
        files={
            "stages/conv.json": "1" * 64,
            "stages/stem.json": "2" * 64,
            "stages/sum.json": "3" * 64,
            "stages/head.json": "4" * 64,
            "weights.safetensors": "5" * 64,
        },
        provenance=target.constants(),
    )


def _stages() -> tuple[StageRecord, ...]:
    host, stem, conv, total = (SourceRecord(i, 0) for i in (-1, 0, 1, 2))
    return (
        _stage(0, "stem", Rectangle(0, 0, 4, 8), Tiling(2, 2, 8), 288, (host,), ("stem.weight",)),
        _stage(
            1,
            "conv",
            Rectangle(0, 8, 8, 8),
            Tiling(4, 2, 8),
            144,
            (stem,),
            ("conv.weight", "norm.bias"),
            (("norm.mean",), ("norm.u",)),
        ),
        _stage(2, "sum", Rectangle(4, 0, 4, 8), Tiling(4, 1, 8), 0, (stem, conv), ()),
        _stage(
            3,
            "head",
            Rectangle(8, 3, 3, 10),
            Tiling(3, 1, 10),
            80,
            (total, SourceRecord(-1, 1)),
            ("head.weight",),
        ),
    )


def _stage(
    index: int,
    name: str,
    region: Rectangle,
    tiling: Tiling,
    nonzeros: int,
    inputs: tuple[SourceRecord, ...],
    parameters: tuple[str, ...],
    state: tuple[tuple[str, ...], tuple[str, ...]] = ((), ()),
) -> StageRecord:
    dense = 576 if name == "conv" else nonzeros
    operators = tuple(
        OperatorCost(
            f"{phase}_{name}",
            "aten.convolution.default" if phase == "forward" else "aten.mul.Tensor",
            "convolution" if phase == "forward" else "elementwise",
            phase,
            name,
            f"model.py:{10 + index}",
            dense * 64,
            nonzeros * 64,
            700 + 10 * index,
            20,
        )
        for phase in ("forward", "backward", "update")
    )
    delay = 2 * (3 - index)
    held = nonzeros / (tiling.in_split * tiling.out_split)
    fullest = min(nonzeros, int(held) + 2)
    return StageRecord(
        index=index,
        id=f"layer.{name}",
        module=f"layer.{name}",
        source=f"model.py:{10 + index}",
        program=name,
        parameters=parameters,
        forward_state=state[0],
        backward_state=state[1],
        inputs=inputs,
        operators=operators,
        uses=(RegionUse(Region(f"r{index}", region, tiling), "all", 3 * (720 + 10 * index)),),
        cycles=PhaseCycles(*[720 + 10 * index] * 3),
        macs_dense=3 * dense * 64,
        macs_effective=3 * nonzeros * 64,
        nonzeros=NonZeros(dense, nonzeros, held, fullest, fullest),
        memory_per_pe=PEMemory(
            weights_bytes=5 * fullest,
            optimizer_bytes=8 * fullest,
            gradient_bytes=4 * fullest,
            activation_fifo_bytes=256 * (delay + 1),
            workspace_bytes=32,
            normalization_bytes=16 if name == "conv" else 0,
            stream_buffer_bytes=64,
            skip_fifo_bytes=64 if name == "conv" else 0,
        ),
        bound_by="compute",
        recompute=False,
        rebuilds=False,
        anchors=(),
        delay=delay,
        fifo_depth=delay + 1,
        off_wafer_bytes=0,
    )


def _edges() -> tuple[EdgeRecord, ...]:
    image, features = 4 * 4 * 64, 4 * 8 * 64
    stem, conv, total, head = (2, 4), (4, 12), (6, 4), (9, 8)
    return (
        _edge(-1, 0, (0,), image, 0, ((2, 0), stem)),
        _edge(-1, 3, (1,), 8, 0, ((9, 0), head)),
        _edge(0, 1, (0,), features, features, (stem, (2, 12), conv)),
        _edge(0, 2, (0,), features, features, (stem, total)),
        _edge(1, 2, (0,), features, features, (conv, (4, 4), total)),
        _edge(2, 3, (0,), features, features, (total, (6, 8), head)),
    )


def _edge(
    source: int,
    sink: int,
    outputs: tuple[int, ...],
    forward: int,
    gradient: int,
    route: tuple[tuple[int, int], ...],
) -> EdgeRecord:
    steps = pairwise(route)
    hops = sum(abs(a - c) + abs(b - d) for (a, b), (c, d) in steps)
    depth = 1 if source < 0 else sink - source
    return EdgeRecord(source, sink, outputs, forward, gradient, 0, route, hops, depth, 4, 2, 2)
