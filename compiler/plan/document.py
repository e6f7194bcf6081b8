"""The plan as data: what `plan.yaml` holds, field by field. Pure Python, no tensors.

Units are in the names: `_cycles` are cycles of the target's clock per sample, `_bytes` are bytes,
`macs` are multiply-accumulates per sample. A processing element is a PE.
"""

from __future__ import annotations

from dataclasses import dataclass

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Rectangle:
    """A region of PEs: top-left corner (row, column) and size."""

    row: int
    column: int
    height: int
    width: int

    @property
    def area(self) -> int:
        return self.height * self.width

    @property
    def centre(self) -> tuple[float, float]:
        return self.row + self.height / 2, self.column + self.width / 2

    def overlaps(self, other: Rectangle) -> bool:
        return (
            self.row < other.row + other.height
            and other.row < self.row + self.height
            and self.column < other.column + other.width
            and other.column < self.column + self.width
        )


@dataclass(frozen=True)
class Tiling:
    """How the tensor axes are split over the region's PEs.

    Rows of PEs hold `in_split` slices of the input features times `space_split` slices of the
    spatial (or token) positions; columns hold `out_split` slices of the output features.
    height = in_split * space_split, width = out_split.
    """

    in_split: int
    space_split: int
    out_split: int

    @property
    def height(self) -> int:
        return self.in_split * self.space_split

    @property
    def width(self) -> int:
        return self.out_split


@dataclass(frozen=True)
class PhaseCycles:
    """Cycles per sample of the three phases of a tick; they share the region's PEs in time."""

    forward_cycles: int
    backward_cycles: int
    update_cycles: int

    @property
    def total_cycles(self) -> int:
        return self.forward_cycles + self.backward_cycles + self.update_cycles


@dataclass(frozen=True)
class OperatorCost:
    """One operator of a stage on the slowest PE; phase is 'forward', 'backward' or 'update'."""

    name: str
    operator: str
    family: str
    phase: str
    module: str
    source: str
    macs_dense: int
    macs_effective: int
    compute_cycles: int
    network_cycles: int

    @property
    def cycles(self) -> int:
        return self.compute_cycles + self.network_cycles


@dataclass(frozen=True)
class PEMemory:
    """Bytes on the fullest PE of a region, by class."""

    weights_bytes: int
    optimizer_bytes: int
    gradient_bytes: int
    activation_fifo_bytes: int
    normalization_bytes: int
    stream_buffer_bytes: int

    @property
    def total_bytes(self) -> int:
        return (
            self.weights_bytes
            + self.optimizer_bytes
            + self.gradient_bytes
            + self.activation_fifo_bytes
            + self.normalization_bytes
            + self.stream_buffer_bytes
        )


@dataclass(frozen=True)
class NonZeros:
    """Non-zero weights of a stage: in all, and per PE (mean over PEs, slowest PE)."""

    dense: int
    total: int
    per_pe_mean: float
    per_pe_max: int


@dataclass(frozen=True)
class SourceRecord:
    """A stage input: output `output` of stage `stage` (-1 is the host)."""

    stage: int
    output: int


@dataclass(frozen=True)
class StageRecord:
    """One stage of the plan. `program` is the key of a file in `stages/`."""

    index: int
    id: str
    module: str
    source: str
    program: str
    parameters: tuple[str, ...]
    forward_state: tuple[str, ...]
    backward_state: tuple[str, ...]
    inputs: tuple[SourceRecord, ...]
    operators: tuple[OperatorCost, ...]
    region: Rectangle
    tiling: Tiling
    cycles: PhaseCycles
    macs_dense: int
    macs_effective: int
    nonzeros: NonZeros
    memory_per_pe: PEMemory
    bound_by: str
    delay: int
    fifo_depth: int


@dataclass(frozen=True)
class EdgeRecord:
    """A stream between two stages (-1 is the host). Bytes are per sample.

    `route` is the list of (row, column) corners from region centre to region centre; `hops` its
    length in links; `depth` the samples the edge's FIFO holds; `gradient_bytes` flow back.
    """

    source: int
    sink: int
    outputs: tuple[int, ...]
    forward_bytes: int
    gradient_bytes: int
    route: tuple[tuple[int, int], ...]
    hops: int
    depth: int


@dataclass(frozen=True)
class Totals:
    """What the whole plan needs and gives, from the closed form (see sim/analytic.py)."""

    initiation_interval_cycles: int
    latency_cycles: int
    throughput_samples_per_s: float
    utilisation: float
    bound_by: str
    pes_used: int
    pes_usable: int
    wafer_share: float
    macs_dense: int
    macs_effective: int
    max_memory_per_pe_bytes: int
    memory_capacity_per_pe_bytes: int


@dataclass(frozen=True)
class TensorRecord:
    """Name, shape and dtype of a tensor."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Constant:
    """A hardware constant the plan used: its value, where it was found, how firm it is."""

    name: str
    value: float | int | str | bool | tuple[int, ...]
    source: str
    confidence: str


@dataclass(frozen=True)
class PlanDocument:
    """Everything of a plan but its programs and weights."""

    format: int
    weft_version: str
    model: str
    fingerprint: str
    mode: str
    granularity: str
    target: str
    target_hash: str
    clock_hz: float
    grid: tuple[int, int]
    recipe: dict[str, object]
    inputs: tuple[TensorRecord, ...]
    parameters: tuple[TensorRecord, ...]
    state: tuple[TensorRecord, ...]
    masks: tuple[str, ...]
    loss: SourceRecord
    predictions: tuple[SourceRecord, ...]
    stages: tuple[StageRecord, ...]
    edges: tuple[EdgeRecord, ...]
    totals: Totals
    files: dict[str, str]
    provenance: tuple[Constant, ...]
