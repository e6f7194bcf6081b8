"""What can set the pace of a plan or of a stage: one list for plans, simulations and reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from .stage_record import OperatorCost

CAUSES: Mapping[str, str] = MappingProxyType(
    {
        "compute": "arithmetic on the slowest PE of a stage",
        "memory": "element-wise passes that take all a PE's memory ports can read",
        "network": "broadcasts, sums and borders inside a stage's region",
        "link": "streams between stages on the mesh links that they share",
        "wafer-link": "streams that share the link between two wafers",
        "host": "the machine's way in",
        "loop": "room in FIFOs, or latency, around a loop of stages",
        "fill": "the run is too short to be at the plan's pace",
        "deadlock": "stages that wait for each other for ever",
    }
)
"""By name, what it is. The first three are a stage's own and come with its id."""

WORK, IMBALANCE, START, LOOP = "work", "imbalance", "start", "loop turns"
ROUTING, EXCHANGE = "routing", "exchange"
TERMS: Mapping[str, str] = MappingProxyType(
    {
        WORK: "arithmetic of a stage, dealt out evenly over its PEs",
        IMBALANCE: "what its slowest PE has more than its even share",
        ROUTING: "what its fullest expert has more than the others",
        START: "starts of instructions and tasks",
        LOOP: "turns of loops that a program writes out",
        EXCHANGE: "broadcasts, sums and borders that arithmetic does not hide",
    }
)
"""What the cycles of a stage consist of. More PEs make the work less, and hardly the others."""

STAGE_CAUSES = ("compute", "memory", "network")
_ELEMENTWISE = frozenset({"elementwise", "normalization", "optimizer", "pooling", "reduction"})
_OPERANDS = 2


@dataclass(frozen=True)
class Bound:
    """Something that needs `cycles` per sample: a cause out of CAUSES, and the stage, the stream
    or the FIFOs where it is."""

    cause: str
    at: str
    cycles: float

    def __str__(self) -> str:
        return f"{self.cause}: {self.at}"


def stage_bound(operators: Sequence[OperatorCost], are_ports_full: bool) -> str:
    """'network' if communication takes more cycles than arithmetic; else 'memory' if most of the
    arithmetic is element-wise and that takes all the memory ports can read; else 'compute'."""
    compute = sum(operator.compute_cycles for operator in operators)
    network = sum(operator.network_cycles for operator in operators)
    passes = sum(o.compute_cycles for o in operators if o.family in _ELEMENTWISE)
    if network > compute:
        return "network"
    return "memory" if are_ports_full and 2 * passes > compute else "compute"


def are_ports_full(item_bytes: int, elements_per_cycle: float, read_bytes_per_cycle: float) -> bool:
    """Whether element-wise work on two operands reads all that a PE's memory ports can give."""
    return _OPERANDS * item_bytes * elements_per_cycle >= read_bytes_per_cycle
