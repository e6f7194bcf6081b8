"""The plan as data: what `plan.yaml` holds, field by field. Pure Python, no tensors.

Units are in the names: `_cycles` are cycles of the target's clock per sample, `_bytes` are bytes,
`macs` are multiply-accumulates per sample. A processing element is a PE.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..targets.constant import MachineConstant
from .stage_record import Region, SourceRecord, StageRecord

FORMAT_VERSION = 4

Granularity = Literal["finest", "block", "auto"]
"""What stages are: a layer each, a block of the model each, or as few as limits ask for."""
Mappings = Literal["all", "apart", "2021"]
"""Which mappings stages may have."""

TRAINING_ONLY = "-training"
"""Ends the `witness` of a plan whose model predicts something else in evaluation mode."""
_LEVELS = ("float64", "float32")
WITNESSES = (*_LEVELS, *(level + TRAINING_ONLY for level in _LEVELS), "structure", "off")

HOST = -1
"""Stage index that stands for the host, which feeds the model's inputs."""


@dataclass(frozen=True)
class EdgeRecord:
    """A stream between two stages (-1 is the host). Bytes are per sample.

    `route` is the list of (row, column) corners from region centre to region centre; `hops` its
    length in links; `depth` the samples the edge's FIFO holds; `gradient_bytes` and `rebuilt_bytes`
    flow back.
    A sample comes in `parts` equal parts, rows of an image or tokens; the sink's forward can begin
    with `window` of them, the source's backward with `gradient_window` of the gradient's.
    """

    source: int
    """Index of the stage it leaves; -1 is the host. [index]"""
    sink: int
    """Index of the stage it enters. [index]"""
    outputs: tuple[int, ...]
    """Numbers of the source's outputs that travel on it. [index]"""
    forward_bytes: int
    """Activations, in the direction of the edge. [bytes per sample]"""
    gradient_bytes: int
    """Gradients, against it. [bytes per sample]"""
    rebuilt_bytes: int
    """Activations that the sink has rebuilt or kept and gives back. [bytes per sample]"""
    route: tuple[tuple[int, int], ...]
    """Corners (row, column) of its way from region centre to region centre; the columns of wafer w
    count on from w times the grid's. [PEs]"""
    hops: int
    """Length of the way. [links]"""
    depth: int
    """Samples its FIFO holds: the stages it passes. [samples]"""
    parts: int
    """Equal parts in which a sample crosses it: rows of an image, tokens. [parts]"""
    window: int
    """How many of them the sink's forward needs to begin. [parts]"""
    gradient_window: int
    """How many of the gradient's the source's backward needs to begin. [parts]"""

    @property
    def backward_bytes(self) -> int:
        """All that flows against it. [bytes per sample]"""
        return self.gradient_bytes + self.rebuilt_bytes


@dataclass(frozen=True)
class Totals:
    """What the whole plan needs and gives, in closed form (`compiler/timing/`)."""

    initiation_interval_cycles: float
    """Between two samples in steady state, in the mean. [cycles]"""
    latency_cycles: int
    """From when the host is asked for a sample until its loss is known, if the sample is alone in
    the pipeline. [cycles]"""
    host_latency_cycles: int
    """Of that, until the host's first byte comes. [cycles]"""
    throughput_samples_per_s: float
    """`clock_hz` / `initiation_interval_cycles`. [samples/s]"""
    utilisation: float
    """Share of the occupied PEs' time that is spent on phases. [1]"""
    bound_by: str
    """What sets the initiation interval: its cause (`compute`, `memory`, `network`, `link`,
    `wafer-link`, `host` or `loop`) and where that is, the stage or the stream."""
    pes_used: int
    """PEs in regions. [PEs]"""
    pes_usable: int
    """PEs of the target, on all its wafers. [PEs]"""
    wafer_share: float
    """`pes_used` / `pes_usable`. [1]"""
    wafers_used: int
    """Wafers with a stage on them: the first ones of the chain. [wafers]"""
    wafers_least: int
    """Wafers that the stages need at least, however slow they get. [wafers]"""
    macs_dense: int
    """Sum over stages. [MACs per sample]"""
    macs_effective: int
    """Sum over stages. [MACs per sample]"""
    max_memory_per_pe_bytes: int
    """On the fullest PE of all. [bytes]"""
    memory_capacity_per_pe_bytes: int
    """Memory of a PE that a plan may use. [bytes]"""

    @property
    def memory_share(self) -> float:
        """How full the fullest PE is. [1]"""
        return self.max_memory_per_pe_bytes / self.memory_capacity_per_pe_bytes


@dataclass(frozen=True)
class Demand:
    """What a network needs of a machine, and what there is."""

    amount: int
    """What it needs. [`unit`]"""
    bound: int
    """What there is. [`unit`]"""
    unit: str
    """`bytes per PE` of the stage that needs most, if it needs too many; else `PEs` of all."""
    excess: int
    """What is too much, summed over all stages if the unit is bytes per PE. [`unit`]"""

    @property
    def fits(self) -> bool:
        return self.amount <= self.bound

    @property
    def gap(self) -> int:
        return self.amount - self.bound


@dataclass(frozen=True)
class LeverRecord:
    """A change that `fit: auto` made so that the model fits, and what it bought."""

    lever: str
    """`reversible stages`, `recompute`, `coarser stages`, `off the wafer` or `more wafers`."""
    change: str
    """What was changed."""
    before: Demand
    """What the network needed before."""
    after: Demand
    """What it needs with it."""


@dataclass(frozen=True)
class TensorRecord:
    """Name, shape and dtype of a tensor."""

    name: str
    """Name, as in `named_parameters` and `named_buffers`."""
    shape: tuple[int, ...]
    """Shape; activations and inputs have batch dimension 1. [elements]"""
    dtype: str
    """Element type, by torch's name."""


@dataclass(frozen=True)
class PlanDocument:
    """Everything of a plan but its programs and weights."""

    format: int
    """Version of this format; a reader refuses others. [version]"""
    weft_version: str
    """Version of weft that wrote the plan, and of its model of the machine, which priced it."""
    model: str
    """Name of the model."""
    fingerprint: str
    """SHA-256 of what is computed: programs, their tensors, wiring. Not of weights or placement."""
    mode: str
    """`training`: every stage runs forward, backward and update."""
    granularity: str
    """How the network was cut into stages (`docs/stages.md`)."""
    target: str
    """Name of the machine."""
    target_hash: str
    """SHA-256 of all its constants."""
    clock_hz: float
    """Its clock. [Hz]"""
    grid: tuple[int, int]
    """Usable rows and columns of PEs of one wafer. [PEs]"""
    wafers: int
    """Wafers of the machine, a chain. [wafers]"""
    witness: str
    """What its numbers were held against when it was made: `float64` or `float32`, the model itself
    in that arithmetic; with `-training` behind it in training mode only: in evaluation mode the
    model predicts something else than the plan; `structure`, its structure only; `off`, nothing."""
    recipe: dict[str, object]
    """The resolved recipe, key by key; empty for a model compiled in Python."""
    fit: tuple[LeverRecord, ...]
    """Changes made so that it fits, in this order; none if it fits as it is."""
    inputs: tuple[TensorRecord, ...]
    """The model's inputs for one sample, the loss's target last."""
    parameters: tuple[TensorRecord, ...]
    """All parameters, in pipeline order."""
    state: tuple[TensorRecord, ...]
    """All state that advances with every sample."""
    masks: tuple[str, ...]
    """Names of the parameters that have a mask of zeros."""
    shares_of_zeros: dict[str, float]
    """Parameters that are sparse at random, without a mask in the plan (the model had no weights),
    and the share of their weights that counts as zero."""
    dynamic: tuple[str, ...]
    """Names of those whose mask changes during training."""
    optimizer_states: int
    """State tensors that the optimizer keeps per weight. [tensors]"""
    loss: SourceRecord
    """The scalar that is trained on."""
    predictions: tuple[SourceRecord, ...]
    """The model's own outputs."""
    stages: tuple[StageRecord, ...]
    """The pipeline, in order."""
    edges: tuple[EdgeRecord, ...]
    """All streams, by source and sink."""
    totals: Totals
    """The whole plan in numbers."""
    files: dict[str, str]
    """SHA-256 of every other file, by its path in the plan."""
    provenance: tuple[MachineConstant, ...]
    """Every hardware constant of the target, with its source."""

    @property
    def regions(self) -> tuple[Region, ...]:
        """All regions, each once, in the order of the stages that use them first."""
        uses = (use for stage in self.stages for use in stage.uses)
        return tuple(dict.fromkeys(use.region for use in uses))
