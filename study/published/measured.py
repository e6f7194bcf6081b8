"""Plans of measured kernels: a torch module compiled at the measured size, on PEs of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from ...backend.errors import InfeasibleError, UserError
from ...compiler.capture.capture import capture
from ...compiler.emit.emit import Labels
from ...compiler.mapping.pricing import Pricing, choice_at
from ...compiler.pipeline import GraphCompiler, Options, lower
from ...compiler.plan.evidence.mechanisms import Mix, cycles_by_mechanism, shares
from ...compiler.plan.program import Stages
from ...compiler.plan.stage_record import OperatorCost, StageRecord, Tiling
from ...compiler.plan.training import Training
from ...compiler.targets.target import Target

Reading = Callable[[Sequence[OperatorCost]], Sequence[OperatorCost]]
"""What of the forward operators of the stage is compared with the measurement: their cycles, one
after the other."""


@dataclass(frozen=True)
class Measured:
    """A module on `machine`, mapped as the measured program was by `tiling`.

    `zeros` are the shares of its parameters' weights that are zero, by name; `where` names the row
    of the table.
    """

    stages: Stages
    machine: Target
    tiling: Tiling
    reading: Reading
    where: str
    zeros: Mapping[str, float] = field(default_factory=dict)

    def operators(self) -> Sequence[OperatorCost]:
        """What was measured, as the plan pinned to the measured algorithm has it.

        Raises UserError where it needs more memory than a PE has.
        """
        return self.reading(_forward(self._record(self._training)))

    def mix(self, operators: Sequence[OperatorCost]) -> Mix:
        """What the cycles of `operators` are spent on."""
        is_triggered = self.machine.software.triggered
        return shares(cycles_by_mechanism(operators, self.tiling, is_triggered))

    def is_own_choice(self) -> bool:
        """Whether the mapper maps so by itself: of all tilings that fill the measured region and
        fit its memory this one takes the fewest cycles, however sums are grouped."""
        pricing = Pricing(self.stages, self.machine, Training(self.zeros))
        (stage,) = self.stages.stages
        table = pricing.table(stage)
        tilings, size = table.tilings, (self.tiling.height, self.tiling.width)
        fits = pricing.needed_bytes(stage) <= self.machine.capacity_bytes
        filling = fits & (tilings.height == size[0]) & (tilings.width == size[1])
        if not filling.any():
            return False
        fastest = int(np.argmin(np.where(filling, table.total_cycles(), np.inf)))
        return replace(tilings.tiling(fastest), groups=self.tiling.groups) == self.tiling

    def price(self) -> float:
        """Cycles of `operators`, of their prices alone: nothing is placed."""
        pricing = Pricing(self.stages, self.machine, self._training)
        (stage,) = self.stages.stages
        table = pricing.table(stage)
        choice = choice_at(table, 0, pricing.post(stage), None)
        return cycles_of(self.reading([o for o in choice.operators if o.phase == "forward"]))

    @property
    def _training(self) -> Training:
        return Training(self.zeros, tilings={"*": self.tiling})

    def _record(self, training: Training) -> StageRecord:
        try:
            plan = lower(self.stages, self.machine, training, Labels("measured"))
        except InfeasibleError as error:
            raise UserError(
                self.where,
                expected=f"at most {self.machine.sram.bytes_per_pe:,} B, all memory of a PE",
                got=error.got,
                change="take smaller tiles, on more PEs",
            ) from error
        (record,) = plan.document.stages
        return record


def _forward(record: StageRecord) -> list[OperatorCost]:
    return [operator for operator in record.operators if operator.phase == "forward"]


def on_grid(target: Target, rows: int, columns: int) -> Target:
    """So many PEs of the target, all their memory for tensors, programmed as the measured kernels
    are: instructions are written out, and nothing hides behind anything else unless they say so."""
    grid = replace(target.grid, rows=rows, columns=columns)
    sram = replace(target.sram, reserved_bytes=0)
    software = replace(target.software, triggered=False)
    return replace(target, grid=grid, sram=sram, software=software, defects=None, wafers=1)


class _Kernel(nn.Module):
    """A forward pass alone, in a stage of its own; views of its result cost nothing."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.inner(*inputs).flatten()[0]


class _Model(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.kernel = _Kernel(inner)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.kernel(*inputs)


def stages_of(
    module: Callable[[], nn.Module],
    shapes: Sequence[tuple[int, ...]],
    dtype: torch.dtype,
    keeps_types: bool = False,
) -> Stages:
    """One stage with the forward pass of a module on inputs of `shapes`. No weight is made. They
    have the inputs' `dtype`, or where it `keeps_types` their own."""
    with torch.device("meta"):
        model = _Model(module()).requires_grad_(False)
        model = model if keeps_types else model.to(dtype)
        inputs = tuple(torch.empty(shape, dtype=dtype) for shape in shapes)
    graph = capture(model, inputs, None)
    return GraphCompiler(graph, Options(stages=("kernel",))).stages_for_any_machine()


@lru_cache(maxsize=512)
def linear_stages(tokens: int, inputs: int, outputs: int, dtype: torch.dtype) -> Stages:
    """A linear layer without a bias."""
    return stages_of(lambda: nn.Linear(inputs, outputs, bias=False), [(1, tokens, inputs)], dtype)


def cycles_of(operators: Sequence[OperatorCost]) -> float:
    """One operator after the other."""
    return sum(operator.cycles for operator in operators)


def product_cycles(operators: Sequence[OperatorCost]) -> Sequence[OperatorCost]:
    """Arithmetic and communication of the one product."""
    (operator,) = (o for o in operators if o.family == "linear")
    return (operator,)


def arithmetic_cycles(operators: Sequence[OperatorCost]) -> Sequence[OperatorCost]:
    """Arithmetic of the one product."""
    return [replace(o, network_cycles=0) for o in product_cycles(operators)]


def network_cycles(operators: Sequence[OperatorCost]) -> Sequence[OperatorCost]:
    """Communication of the one product."""
    return [replace(o, compute_cycles=0) for o in product_cycles(operators)]


def all_cycles(operators: Sequence[OperatorCost]) -> Sequence[OperatorCost]:
    """All operators."""
    return operators


def repeated(times: int, operators: Sequence[OperatorCost]) -> Sequence[OperatorCost]:
    """All operators, over and over."""
    return [*operators] * times
