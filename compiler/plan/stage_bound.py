"""What takes most of a stage's cycles: the first three of `causes.CAUSES`."""

from __future__ import annotations

from collections.abc import Sequence

from .stage_record import OperatorCost

_ELEMENTWISE = frozenset({"elementwise", "normalization", "optimizer", "pooling", "reduction"})
_OPERANDS = 2


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
