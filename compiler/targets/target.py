"""A target machine: frozen dataclasses that a YAML file fills, constant by constant.

In the file every constant is a mapping `{value, source, confidence}`; the dataclasses hold the
values, `Target.provenance` the rest. A constant is named by its dotted path (`noc.hop_cycles`), in
overrides and in the plan's provenance alike.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from ...backend.errors import UnsupportedError
from .constant import MachineConstant
from .defects import Defects

_STRICT = ConfigDict(extra="forbid")

Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
Cycles = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Confidence = Literal["published", "derived", "fitted", "memory", "assumed"]

_OPTIONAL_BLOCKS = ("matrix", "power", "defects")
_MOVED = frozenset({"bool", "uint8", "int8", "int16", "int32", "int64", "float8_e4m3fn"})
"""Types that are moved and converted, at the rate of float32 words; nothing multiplies float8."""


@dataclass(frozen=True)
class Grid:
    """PEs a program may use (rows x columns), the whole fabric, and the marketed core count."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    rows: Positive
    columns: Positive
    fabric_rows: Positive
    fabric_columns: Positive
    advertised_cores: Positive

    @property
    def pes(self) -> int:
        return self.rows * self.columns


@dataclass(frozen=True)
class Sram:
    """Memory of one PE. `reserved_bytes` hold code and stack; the rest is for tensors."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    bytes_per_pe: Positive
    reserved_bytes: Count
    banks: Positive
    read_bytes_per_cycle: Positive
    write_bytes_per_cycle: Positive


@dataclass(frozen=True)
class Compute:
    """Arithmetic of one PE in one dtype.

    `macs_per_cycle` is the peak of the datapath; a vector instruction reaches `sustained_fraction`
    of it (bank conflicts, operand fetch). Element-wise instructions do `elements_per_cycle`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    macs_per_cycle: PositiveFloat
    elements_per_cycle: PositiveFloat
    sustained_fraction: Fraction

    @property
    def sustained_macs_per_cycle(self) -> float:
        return self.macs_per_cycle * self.sustained_fraction

    @property
    def sustained_elements_per_cycle(self) -> float:
        return self.elements_per_cycle * self.sustained_fraction


@dataclass(frozen=True)
class MatrixUnit:
    """A matrix unit beside the vector unit: one instruction multiplies a (`positions` x
    `in_features`) block with an (`in_features` x `out_features`) block of dense weights, at the
    dtype's multiply-adds per cycle, after `issue_cycles`. Smaller blocks are padded."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    positions: Positive
    in_features: Positive
    out_features: Positive
    issue_cycles: Cycles
    dtypes: tuple[str, ...]


@dataclass(frozen=True)
class Vector:
    """Overheads of vector instructions, in cycles.

    `issue_cycles` starts one instruction, `loop_cycles` is one turn of a software loop around it,
    `task_cycles` starts a task in software, `trigger_cycles` is what hardware takes to react to an
    arriving vector or to close a sum, `special_cycles` is one element of a function without a
    vector unit (division, root, exponential, logarithm, tanh).
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    issue_cycles: Cycles
    loop_cycles: Cycles
    task_cycles: Cycles
    trigger_cycles: Cycles
    special_cycles: Cycles


@dataclass(frozen=True)
class ZeroSkipping:
    """How zeros are skipped.

    With `zero_skip` each non-zero weight triggers one vector multiply-add that costs
    `nonzero_cycles` on top of its elements; without it zeros cost as much as non-zeros. Compressed
    weights carry `index_bytes` each. Scattered single multiply-adds run at
    `indexed_macs_per_cycle`. Programs that loop over non-zeros find them by columns (csc), by rows
    (csr) or in one list (coo), as `storage` says, or multiply dense columns (strided).
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    zero_skip: bool
    nonzero_cycles: Cycles
    index_bytes: Count
    indexed_macs_per_cycle: PositiveFloat
    storage: Literal["csc", "csr", "coo", "strided"] = "csc"


@dataclass(frozen=True)
class Noc:
    """The mesh: per link and direction, per hop, and between router and core (`ramp_cycles`).

    `relay_cycles` is what a core adds between a word's arrival and its sum's departure, beside the
    ramps, on WSE-2 the published 1 of (2 T_R + 1) D (arXiv:2404.15888). `issue_cycles` starts an
    instruction with an operand that comes or leaves. `collective_start_cycles` is the fixed cost of
    one collective operation, its first instruction with it. A router keeps a
    route for each of `colours`; `queues` are those between router and core, so many each way.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    link_bytes_per_cycle: Positive
    hop_cycles: Cycles
    ramp_cycles: Cycles
    collective_start_cycles: Cycles
    multicast: bool
    colours: Positive
    queues: Positive | None = None
    relay_cycles: Cycles = 1.0
    issue_cycles: Cycles = 0.0


@dataclass(frozen=True)
class Software:
    """How kernels are programmed, and what hand-written ones pay around their vector instructions.

    If `triggered`, hardware starts the instructions of a product as words arrive, and communication
    hides behind arithmetic; otherwise programs write instructions out in loops and wait for what
    they send and receive, as most measured kernels do.

    Cycles that nobody measured on the machine are absent; a kernel that needs them is refused.
    `beat_bytes` is what the datapath moves between memory and ramp per cycle.
    `library_call_cycles` surrounds a collective of the vendor's library. `exchange_cycles` is a
    blocking exchange with a neighbour before its first word moves, `step_cycles` a step that
    computes while it exchanges, `turn_cycles` one turn of an inline loop around a vector
    instruction, `mapped_cycles` one instruction, of one SIMD group, repeated over a vector of
    scalars. `route_cycles` re-programs one colour's route; `multicast_step_cycles` is a step that
    finds out who sends, re-programs two routes and starts the transfers.
    `layout_cycles` is a fixed cost seen in kernels with a padded memory layout.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    triggered: bool = True
    beat_bytes: Positive | None = None
    library_call_cycles: Cycles | None = None
    exchange_cycles: Cycles | None = None
    step_cycles: Cycles | None = None
    turn_cycles: Cycles | None = None
    mapped_cycles: Cycles | None = None
    route_cycles: Cycles | None = None
    multicast_step_cycles: Cycles | None = None
    layout_cycles: Cycles | None = None


@dataclass(frozen=True)
class Link:
    """Off a wafer: traffic each way, and a transaction's fixed time or the time of flight."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    bytes_per_s: PositiveFloat
    latency_s: Cycles


@dataclass(frozen=True)
class Power:
    """Watts: one PE at its peak, and the whole system with cooling and supplies."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    pe_peak_w: PositiveFloat
    system_w: PositiveFloat


@dataclass(frozen=True)
class Advertised:
    """A figure the vendor prints, to be redone by `weft targets check`.

    `quantity` names a formula of arithmetic.py. `factor` multiplies our figure where the vendor's
    assumes one (a sparsity speed-up). `tolerance` is relative, beyond the bracket of both clocks.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    quantity: str
    value: PositiveFloat
    unit: str
    source: str
    factor: PositiveFloat = 1.0
    tolerance: Annotated[float, Field(ge=0)] = 0.05


@dataclass(frozen=True)
class Target:
    """One machine. `clock_hz` turns cycles into seconds; `clock_max_hz` is the vendor's maximum.

    `grid`, `sram` and all the rest describe one wafer; the machine is a chain of `wafers` of them.
    `ranges` says between what some constants may lie, by dotted name, where sources disagree.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    name: str
    vendor: str
    year: int
    description: str
    clock_hz: PositiveFloat
    clock_max_hz: PositiveFloat
    grid: Grid
    sram: Sram
    compute: dict[str, Compute]
    vector: Vector
    sparsity: ZeroSkipping
    noc: Noc
    host: Link
    software: Software = Software()
    wafers: Positive = 1
    wafer_link: Link | None = None
    matrix: MatrixUnit | None = None
    power: Power | None = None
    defects: Defects | None = None
    advertised: tuple[Advertised, ...] = ()
    provenance: tuple[MachineConstant, ...] = ()
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of one wafer that a program sees: the grid's, less those lost to dead cores."""
        return len(self.working_rows)

    @cached_property
    def working_rows(self) -> tuple[int, ...]:
        """For each row that a program sees, the row of the wafer behind it."""
        defects = self.defects or Defects()
        return defects.working_rows(self.grid.rows)

    @property
    def columns(self) -> int:
        return self.grid.columns

    @property
    def pes(self) -> int:
        """PEs of one wafer that a program may use."""
        return self.rows * self.columns

    @property
    def all_pes(self) -> int:
        """PEs of all wafers that a program may use."""
        return self.wafers * self.pes

    def with_wafers(self, wafers: int, source: str) -> Target:
        """The same machine as a longer or shorter chain; `source` says who asked for it."""
        changed = tuple(
            replace(c, value=wafers, source=source) if c.name == "wafers" else c
            for c in self.provenance
        )
        return replace(self, wafers=wafers, provenance=changed)

    @property
    def wafer_link_bytes_per_cycle(self) -> float:
        return self.wafer_link.bytes_per_s / self.clock_hz if self.wafer_link else 0.0

    @property
    def capacity_bytes(self) -> int:
        """Bytes of one PE that tensors may fill."""
        return self.sram.bytes_per_pe - self.sram.reserved_bytes

    @property
    def host_bytes_per_cycle(self) -> float:
        return self.host.bytes_per_s / self.clock_hz

    def constants(self) -> tuple[MachineConstant, ...]:
        """Every constant with its value, source and confidence, in the order of the file.

        One that was replaced in Python since says so.
        """
        return tuple(self._as_it_is(constant) for constant in self.provenance)

    def _as_it_is(self, constant: MachineConstant) -> MachineConstant:
        value: Any = self
        for part in constant.name.split("."):
            value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
        same = value is None or value == constant.value
        changed = "set by dataclasses.replace"
        return constant if same else replace(constant, value=value, source=changed)

    def arithmetic(self, dtype: str) -> Compute:
        """Rates for a torch dtype name; integers, flags and float8 move like float32 words.

        Raises UnsupportedError for a floating-point dtype the machine has no arithmetic for.
        """
        if dtype in self.compute:
            return self.compute[dtype]
        if dtype in _MOVED and "float32" in self.compute:
            return self.compute["float32"]
        convert = f"convert the model, e.g. model.to(torch.{next(iter(self.compute))})"
        is_complex = dtype.startswith("complex")
        raise UnsupportedError(
            f"target {self.name}",
            expected=f"a tensor of dtype {', '.join(sorted(self.compute))}",
            got=dtype,
            change="compute with real and imaginary parts of their own" if is_complex else convert,
        )

    @cached_property
    def hash(self) -> str:
        """sha256 over all resolved values; sources and wording do not count."""
        values: dict[str, Any] = asdict(self)
        for prose in ("provenance", "advertised", "description", "ranges"):
            del values[prose]
        for block in _OPTIONAL_BLOCKS:
            if values[block] is None:
                del values[block]
        canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
