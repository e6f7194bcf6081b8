"""The plan as data: what `plan.yaml` holds, field by field. Pure Python, no tensors.

Units are in the names: `_cycles` are cycles of the target's clock per sample, `_bytes` are bytes,
`macs` are multiply-accumulates per sample. A processing element is a PE.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

FORMAT_VERSION = 1

HOST = -1
"""Stage index that stands for the host, which feeds the model's inputs."""


@dataclass(frozen=True)
class Rectangle:
    """A region of PEs: top-left corner (row, column) and size, on one of the wafers of a chain."""

    row: int
    """First row of PEs, from 0 at the north edge. [PEs]"""
    column: int
    """First column of PEs, from 0 at the west edge. [PEs]"""
    height: int
    """Rows of PEs. [PEs]"""
    width: int
    """Columns of PEs. [PEs]"""
    wafer: int = 0
    """Which wafer of the chain, from 0. [index]"""

    @property
    def area(self) -> int:
        return self.height * self.width

    @property
    def centre(self) -> tuple[float, float]:
        return self.row + self.height / 2, self.column + self.width / 2

    def overlaps(self, other: Rectangle) -> bool:
        return (
            self.wafer == other.wafer
            and self.row < other.row + other.height
            and other.row < self.row + self.height
            and self.column < other.column + other.width
            and other.column < self.column + self.width
        )

    def on_chain(self, columns: int) -> Rectangle:
        """The same region where all wafers, of `columns` columns each, lie side by side."""
        return replace(self, column=self.wafer * columns + self.column, wafer=0)


@dataclass(frozen=True)
class Tiling:
    """How the tensor axes are split over the region's PEs.

    Rows of PEs hold `in_split` slices of the input features times `space_split` slices of the
    spatial (or token) positions; columns hold `out_split` slices of the output features.
    height = in_split * space_split, width = out_split.
    """

    in_split: int
    """Slices of the input features. [count]"""
    space_split: int
    """Slices of the spatial or token positions. [count]"""
    out_split: int
    """Slices of the output features. [count]"""

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
    """Forward of one sample: arithmetic and traffic inside the region. [cycles]"""
    backward_cycles: int
    """Backward of one sample: gradients of inputs and parameters. [cycles]"""
    update_cycles: int
    """Update of the weights with one sample's gradient. [cycles]"""

    @property
    def total_cycles(self) -> int:
        return self.forward_cycles + self.backward_cycles + self.update_cycles


@dataclass(frozen=True)
class OperatorCost:
    """One operator of a stage on the slowest PE; phase is 'forward', 'backward' or 'update'."""

    name: str
    """Name of the node in the stage's program."""
    operator: str
    """The torch operator, such as `aten.linear.default`."""
    family: str
    """The kernel family that prices it (`compiler/kernels/`)."""
    phase: str
    """`forward`, `backward` or `update`."""
    module: str
    """Path of the module that calls it, as in `named_modules`; empty at the top."""
    source: str
    """Line of the model's source that calls it, `file:line`; empty for what weft adds."""
    macs_dense: int
    """Multiply-accumulates if no weight were zero. [MACs per sample]"""
    macs_effective: int
    """Multiply-accumulates done: zero weights are skipped. [MACs per sample]"""
    compute_cycles: int
    """Arithmetic on the slowest PE. [cycles]"""
    network_cycles: int
    """Broadcasts and reductions inside the region. [cycles]"""

    @property
    def cycles(self) -> int:
        return self.compute_cycles + self.network_cycles


@dataclass(frozen=True)
class PEMemory:
    """Bytes on the fullest PE of a region, by class."""

    weights_bytes: int
    """Weights and the indices of the non-zero ones. [bytes]"""
    optimizer_bytes: int
    """State the optimizer keeps per weight. [bytes]"""
    gradient_bytes: int
    """Gradient of the weights. [bytes]"""
    activation_fifo_bytes: int
    """What the backward needs of every sample in flight: `fifo_depth` samples. [bytes]"""
    workspace_bytes: int
    """What a phase makes and uses up itself, beyond what it can share with the gradient. [bytes]"""
    normalization_bytes: int
    """State of normalizations. [bytes]"""
    stream_buffer_bytes: int
    """Inputs and outputs, one in use and one on its way. [bytes]"""
    skip_fifo_bytes: int
    """Samples of streams that pass the stage on their way to a later one. [bytes]"""

    @property
    def total_bytes(self) -> int:
        return (
            self.weights_bytes
            + self.optimizer_bytes
            + self.gradient_bytes
            + self.activation_fifo_bytes
            + self.workspace_bytes
            + self.normalization_bytes
            + self.stream_buffer_bytes
            + self.skip_fifo_bytes
        )


@dataclass(frozen=True)
class NonZeros:
    """Non-zero weights of a stage: in all, and per PE (mean over PEs, slowest PE)."""

    dense: int
    """All weights. [count]"""
    total: int
    """Weights that are not masked out. [count]"""
    per_pe_mean: float
    """Non-zero weights per PE, mean over the region. [count]"""
    per_pe_max: int
    """Non-zero weights on the slowest PE. [count]"""
    per_pe_max_unbalanced: int
    """What the slowest PE would hold had features not been permuted. [count]"""


@dataclass(frozen=True)
class SourceRecord:
    """A stage input: output `output` of stage `stage` (-1 is the host)."""

    stage: int
    """Index of the stage; -1 is the host. [index]"""
    output: int
    """Number of its output; of the host: of the model's input. [index]"""


@dataclass(frozen=True)
class StageRecord:
    """One stage of the plan. `program` is the key of a file in `stages/`."""

    index: int
    """Position in the pipeline, from 0. [index]"""
    id: str
    """Unique name: `s07:blocks.2.conv1` is stage 7, made for module blocks.2.conv1."""
    module: str
    """Path of the module it is named after; empty at the top."""
    source: str
    """Line of the model's source it is named after, `file:line`."""
    program: str
    """Its forward and backward: the file `stages/<program>.json`. Equal stages share one."""
    parameters: tuple[str, ...]
    """Names of the parameters it owns and updates, in the program's order."""
    forward_state: tuple[str, ...]
    """Names of the state its forward advances (normalization statistics)."""
    backward_state: tuple[str, ...]
    """Names of the state its backward advances (Online Normalization's u and v)."""
    inputs: tuple[SourceRecord, ...]
    """Where each input of its program comes from."""
    operators: tuple[OperatorCost, ...]
    """What its time is spent on, forward first."""
    region: Rectangle
    """The PEs it occupies."""
    tiling: Tiling
    """How its tensors are split over them."""
    cycles: PhaseCycles
    """Time of one sample; the phases share the PEs, so they add up."""
    macs_dense: int
    """Sum over its operators. [MACs per sample]"""
    macs_effective: int
    """Sum over its operators. [MACs per sample]"""
    nonzeros: NonZeros
    """Its weights that are not zero."""
    memory_per_pe: PEMemory
    """Memory of its fullest PE."""
    bound_by: str
    """What takes more of its cycles: `compute` or `network`."""
    recompute: bool
    """Whether its FIFO holds its inputs only and its backward does its forward again."""
    delay: int
    """Updates between forward and backward of one sample: 2(S-1-index). [updates]"""
    fifo_depth: int
    """Samples in flight between them: delay + 1. [samples]"""


@dataclass(frozen=True)
class EdgeRecord:
    """A stream between two stages (-1 is the host). Bytes are per sample.

    `route` is the list of (row, column) corners from region centre to region centre; `hops` its
    length in links; `depth` the samples the edge's FIFO holds; `gradient_bytes` flow back.
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


@dataclass(frozen=True)
class Totals:
    """What the whole plan needs and gives, from the closed form (see sim/analytic.py)."""

    initiation_interval_cycles: int
    """Between two samples: the slowest stage or the most loaded stream. [cycles]"""
    latency_cycles: int
    """One sample alone, from the host to the loss. [cycles]"""
    throughput_samples_per_s: float
    """`clock_hz` / `initiation_interval_cycles`. [samples/s]"""
    utilisation: float
    """Share of the occupied PEs' time that is spent on phases. [1]"""
    bound_by: str
    """What sets the initiation interval: `stage`, `link`, `wafer-link` or `host`."""
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
    """`recompute`, `coarser stages` or `more wafers`."""
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
class Constant:
    """A hardware constant the plan used: its value, where it was found, how firm it is."""

    name: str
    """Its path in the target file, such as `pe.memory_bytes`."""
    value: float | int | str | bool | tuple[int | str, ...]
    """Its value; the unit is in the name."""
    source: str
    """Where it was found, or `set by ...` if the user changed it."""
    confidence: str
    """How firm it is: `published`, `derived`, `fitted`, `memory` or `assumed`."""


@dataclass(frozen=True)
class PlanDocument:
    """Everything of a plan but its programs and weights."""

    format: int
    """Version of this format; a reader refuses others. [version]"""
    weft_version: str
    """Version of weft that wrote the plan."""
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
    provenance: tuple[Constant, ...]
    """Every hardware constant of the target, with its source."""
