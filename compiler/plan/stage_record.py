"""One stage of the plan as data: where it lies, what it costs, what its fullest PE holds.

Units are those of `document.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from .routed import Routed


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


def around(parts: Sequence[Rectangle]) -> Rectangle:
    """The rectangle that regions beside each other make."""
    if len(parts) == 1:
        return parts[0]
    row, column = min(part.row for part in parts), min(part.column for part in parts)
    height = max(part.row + part.height for part in parts) - row
    width = max(part.column + part.width for part in parts) - column
    return Rectangle(row, column, height, width, parts[0].wafer)


ALGORITHMS = ("multicast", "all-reduce", "ring", "summa")
"""How products run on a region, see `Tiling`."""


@dataclass(frozen=True)
class Tiling:
    """How the tensor axes are split over the region's PEs, and how products run on them.

    Rows of PEs hold `in_split` slices of the input features times `space_split` slices of the
    spatial (or token) positions; columns hold `out_split` slices of the output features.
    height = in_split * space_split, width = out_split. Row `position slice * in_split + input
    slice` holds two slices, or row `input slice * space_split + position slice` if `interleaved`.

    By `algorithm` the weights stay and `multicast` brings them their operands, sums leave by a
    reduction; or vectors lie on every line of PEs alike and sums come back to all (`all-reduce`);
    or all three matrices are cut the same number of times along both axes of a square region and
    tiles travel on a `ring`, or are multicast in turn (`summa`): then a row holds a slice of the
    positions, and height = space_split.
    """

    in_split: int
    """Slices of the input features. [count]"""
    space_split: int
    """Slices of the spatial or token positions. [count]"""
    out_split: int
    """Slices of the output features. [count]"""
    interleaved: bool = False
    """Whether position slices of the same input features lie together, not the reverse."""
    algorithm: str = "multicast"
    """How products run: `multicast`, `all-reduce`, `ring` or `summa`."""
    groups: int = 0
    """Groups of a line of PEs that are summed first; 1: one chain, 0: what is fastest. [count]"""

    @property
    def height(self) -> int:
        is_square = self.algorithm in ("ring", "summa")
        return self.space_split * (1 if is_square else self.in_split)

    @property
    def width(self) -> int:
        return self.out_split


@dataclass(frozen=True)
class Region:
    """PEs that one stage or several run on, and how their tensors are split over them."""

    id: str
    """Unique name: `r07` is the region of stage 7, or of the first of its stages."""
    rectangle: Rectangle
    """The PEs it occupies."""
    tiling: Tiling
    """How tensors are split over them."""
    turned: bool = False
    """Whether the tiling's rows lie along columns of PEs, and its columns along rows."""


PURPOSES = ("all", "forward", "backward")
"""What of a stage a region may be for, see `RegionUse`."""
PHASES_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "all": ("forward", "backward", "update"),
        "forward": ("forward",),
        "backward": ("backward", "update"),
    }
)
"""The phases of a tick that run on a region, by what that is for."""


@dataclass(frozen=True)
class RegionUse:
    """What a stage does on a region. Uses of one region take turns: their cycles add up."""

    region: Region = field(metadata={"by": "id"})
    """The region, in plan.yaml by its id in `regions`."""
    purpose: str
    """Which phases of the stage: `all`; or `forward`; or `backward`: that and the update."""
    cycles: int
    """Time that one sample takes of the region. [cycles]"""


@dataclass(frozen=True)
class PhaseCycles:
    """Cycles per sample of the three phases of a tick; on one region they share its PEs in time."""

    forward_cycles: int
    """Forward of one sample: arithmetic and traffic inside the region. [cycles]"""
    backward_cycles: int
    """Backward of one sample: gradients of inputs and parameters. [cycles]"""
    update_cycles: int
    """Update of the weights with one sample's gradient. [cycles]"""

    @property
    def total_cycles(self) -> int:
        return self.forward_cycles + self.backward_cycles + self.update_cycles

    def of(self, purpose: str) -> int:
        """Of the phases that a region is for, see `RegionUse`."""
        return sum(getattr(self, f"{phase}_cycles") for phase in PHASES_OF[purpose])


@dataclass(frozen=True)
class ProductStep:
    """A product with a weight that an operator consists of; sizes are of one sample."""

    kind: str
    """`forward`, `input gradient` or `weight gradient`."""
    in_features: int
    """Features that the weight multiplies in the forward pass. [count]"""
    out_features: int
    """Features that it gives there. [count]"""
    taps: int
    """Weights between an input and an output feature: positions of a kernel. [count]"""
    in_positions: int
    """Pixels or tokens of the inputs. [count]"""
    out_positions: int
    """Pixels or tokens of the outputs. [count]"""
    halo: int
    """Output positions that a slice of the inputs reaches beyond its own. [count]"""
    dtype: str
    """Type of the elements."""
    item_bytes: int
    """Of one element. [bytes]"""
    loaded: bool
    """Whether the weight is sent to its PEs first: it is no parameter that lies there."""
    batch: int
    """Such products, independent of each other. [count]"""
    nonzeros: int
    """Weights that cost time, on the slowest PE. [count]"""
    cycles: int
    """Arithmetic on the slowest PE. [cycles]"""
    rank: int = 0
    """Of the low-rank factors whose products with the same operand are part of this one: so many
    more inputs and outputs. [count]"""
    sent: str = "both"
    """Of a factor's gradient: `none` where its operands came with a product of `rank`."""


@dataclass(frozen=True)
class SumStep:
    """Sums over PEs and back to all of them that an operator consists of."""

    rounds: int
    """One after the other. [count]"""
    words: int
    """Link words of each. [words]"""
    along: int
    """PEs of a line of neighbours, which are summed first. [PEs]"""
    across: int
    """Such lines, which are summed then. [count]"""
    spacing: int
    """Hops from each line to the next. [links]"""
    is_behind: bool = False
    """Whether it goes on behind the operators that follow: nothing in its phase reads it."""


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
    steps: tuple[ProductStep | SumStep | Routed, ...] = ()
    """The products and sums that it consists of, besides passes over elements, and how rows of
    the products are dealt out to experts."""

    @property
    def cycles(self) -> int:
        return self.compute_cycles + self.network_cycles


SLOTS_OFF_WAFER = 4
"""Of a FIFO that lies with the host, on the PEs: written, on its way out, read, on its way back.
[samples]"""


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
    """What the backward needs of every sample in flight: `fifo_slots` samples. [bytes]"""
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


def shared_bytes(users: Sequence[PEMemory]) -> int:
    """Bytes on the fullest PE of a region with all its stages' memory. They take turns, so they
    have their workspace in the same place."""
    own = sum(memory.total_bytes - memory.workspace_bytes for memory in users)
    return own + max((memory.workspace_bytes for memory in users), default=0)


def pacing(operators: Sequence[OperatorCost], uses: Sequence[RegionUse]) -> list[OperatorCost]:
    """Those on the busier of a stage's regions: what its pace is made of."""
    phases = PHASES_OF[max(uses, key=lambda use: use.cycles).purpose]
    return [operator for operator in operators if operator.phase in phases]


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
    uses: tuple[RegionUse, ...]
    """Where it runs: one use of one region, for all its phases; or two equal regions side by side,
    one for its forward, one for its backward and update, that are at work at once."""
    cycles: PhaseCycles
    """Time of one sample; phases on one region add up."""
    macs_dense: int
    """Sum over its operators. [MACs per sample]"""
    macs_effective: int
    """Sum over its operators. [MACs per sample]"""
    nonzeros: NonZeros
    """Its weights that are not zero."""
    memory_per_pe: PEMemory
    """Memory of its fullest PE."""
    bound_by: str
    """What takes most of its cycles, of two regions those of the busier one: `compute`, `memory`
    (the ports, in element-wise passes) or `network` (inside the region)."""
    recompute: bool
    """Whether its FIFO holds its inputs only and its backward does its forward again."""
    rebuilds: bool
    """Whether its backward begins with values that later stages give back, not with kept ones."""
    anchors: tuple[int, ...]
    """Inputs that it keeps and gives back to stages before it as they were. [index]"""
    delay: int
    """Updates between forward and backward of one sample: 2(S-1-index). [updates]"""
    fifo_depth: int
    """Samples in flight between them: delay + 1, or delay if its backward comes first. [samples]"""
    off_wafer_bytes: int
    """What goes to the host after its forward and comes back before its backward; 0: its FIFO lies
    on its PEs. [bytes per sample]"""
    backward_first: bool = False
    """Whether in a tick its backward comes before its forward, behind which sums of its gradients
    go on, and its update after both. Its region is its own, and the two are of different samples.
    """

    def __post_init__(self) -> None:
        if not self.uses:
            raise ValueError("a stage runs on a region at least")

    def with_cycles(self, cycles: PhaseCycles) -> StageRecord:
        """The stage with other cycles, its uses of regions with them."""
        uses = tuple(replace(use, cycles=cycles.of(use.purpose)) for use in self.uses)
        return replace(self, cycles=cycles, uses=uses)

    @property
    def is_apart(self) -> bool:
        """Whether its forward has a region of its own."""
        return len(self.uses) > 1

    @property
    def pace_cycles(self) -> int:
        """Cycles that a sample takes of the busier of its regions. [cycles]"""
        return max(use.cycles for use in self.uses)

    @property
    def pe_cycles(self) -> int:
        """PEs times cycles that a sample takes of them. [PE cycles]"""
        return sum(use.region.rectangle.area * use.cycles for use in self.uses)

    @property
    def fifo_slots(self) -> int:
        """Samples of its FIFO on its PEs: all in flight, or 4 if the others lie with the host."""
        return min(self.fifo_depth, SLOTS_OFF_WAFER) if self.off_wafer_bytes else self.fifo_depth

    @property
    def region(self) -> Rectangle:
        """The PEs it occupies, with all its regions."""
        return around([use.region.rectangle for use in self.uses])

    @property
    def part(self) -> Rectangle:
        """The first of its regions: as large as any."""
        return self.uses[0].region.rectangle

    @property
    def tiling(self) -> Tiling:
        """How its tensors are split over each of its regions."""
        return self.uses[0].region.tiling


def stages_by_region(stages: Sequence[StageRecord]) -> tuple[tuple[StageRecord, ...], ...]:
    """The stages of every region, in the order of their first ones."""
    found: dict[str, tuple[StageRecord, ...]] = {}
    for stage in stages:
        name = stage.uses[0].region.id
        found[name] = (*found.get(name, ()), stage)
    return tuple(found.values())


def are_regions_shared(stages: Sequence[StageRecord]) -> bool:
    """Whether any two stages run on one region."""
    return len(stages_by_region(stages)) < len(stages)


def memory_by_region(stages: Sequence[StageRecord]) -> dict[str, int]:
    """Bytes on the fullest PE of every region, by its id."""
    return {
        users[0].uses[0].region.id: shared_bytes([user.memory_per_pe for user in users])
        for users in stages_by_region(stages)
    }
