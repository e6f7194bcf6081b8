"""One PE: what its vector instructions and the software around them cost, in cycles.

A vector instruction has a start (`vector.issue_cycles`), descriptors to load around it
(`vector.loop_cycles`), and elements that pass at the datapath's rate. Two operands that live in
banks of the same remainder modulo 4 are read one after the other instead of together.
"""

from __future__ import annotations

from ...backend.errors import UserError
from ...compiler.targets.target import Target

_READS_PER_MAC = 2
_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


def software(target: Target, name: str) -> float:
    """A constant of the target's `software` block.

    Raises UserError where nobody measured it on that machine.
    """
    value = getattr(target.software, name)
    if value is None:
        raise UserError(
            f"target {target.name}, software.{name}",
            expected="a constant that this kernel's cost is built from",
            got="nothing: it was never measured on this machine",
            change="add it to the target file, or choose a target that has it",
        )
    return float(value)


def instruction_cycles(target: Target) -> float:
    """A vector instruction of its own: load its descriptors, start it. Elements not counted."""
    return target.vector.loop_cycles + target.vector.issue_cycles


def element_cycles(target: Target, dtype: str, banks_conflict: bool = False) -> float:
    """Cycles per element of a multiply-add whose operands are all in memory.

    Without a conflict the sustained rate of the datapath; with one, a cycle for each read.
    """
    if banks_conflict:
        return _READS_PER_MAC / target.arithmetic(dtype).macs_per_cycle
    return 1 / target.arithmetic(dtype).sustained_macs_per_cycle


def vector_cycles(target: Target, dtype: str, elements: float) -> float:
    """One vector instruction with its descriptors and its elements."""
    return instruction_cycles(target) + groups(target, dtype, elements) * group_cycles(
        target, dtype
    )


def group_cycles(target: Target, dtype: str) -> float:
    """A SIMD group of a multiply-add whose operands are in memory: as fast as the ports pass the
    two vectors it reads and the one it writes, but a cycle at least."""
    width = int(target.arithmetic(dtype).macs_per_cycle) * _BYTES[dtype]
    reads = _READS_PER_MAC * width / target.sram.read_bytes_per_cycle
    return max(1.0, reads, width / target.sram.write_bytes_per_cycle)


def groups(target: Target, dtype: str, elements: float) -> int:
    """SIMD groups that hold `elements`."""
    lanes = int(target.arithmetic(dtype).macs_per_cycle)
    return -(-int(elements) // lanes)


def column_groups(target: Target, dtype: str, elements: int) -> float:
    """SIMD groups of a column of a matrix whose columns of `elements` lie one after the other.

    A group begins at a whole word of the memory port (two reads share `read_bytes_per_cycle`), so a
    column that begins within a word takes its part of that word too. Mean over the columns.

    With 8 lanes and words of 4 halves a column of 15 begins 0, 3, 2 or 1 halves into a word: half
    of such columns take 3 groups, not 2.
    """
    word = target.sram.read_bytes_per_cycle // _READS_PER_MAC // _BYTES[dtype]
    offsets = [column * elements % word for column in range(word)]
    return sum(groups(target, dtype, offset + elements) for offset in offsets) / word


def mapped_cycles(target: Target, dtype: str, elements: int) -> float:
    """One multiply-add of a vector of `elements` with a scalar, inside a mapped loop.

    The first SIMD group costs `mapped_cycles`, each further one what the memory's ports allow.
    """
    return _mapped_cycles(target, dtype, groups(target, dtype, elements))


def _mapped_cycles(target: Target, dtype: str, vector_groups: float) -> float:
    further = max(0.0, vector_groups - 1)
    return software(target, "mapped_cycles") + further * group_cycles(target, dtype)


def mapped_product_cycles(target: Target, dtype: str, m: int, k: int, n: int) -> float:
    """A local (m x k) times (k x n): per k one set of descriptors, then n mapped instructions, each
    on a column of the result."""
    column = _mapped_cycles(target, dtype, column_groups(target, dtype, m))
    return k * (instruction_cycles(target) + n * column)


def nonzero_cycles(
    target: Target, dtype: str, elements: int, banks_conflict: bool = False
) -> float:
    """One non-zero weight in a software loop: its descriptors, then its vector of `elements`."""
    return instruction_cycles(target) + elements * element_cycles(target, dtype, banks_conflict)
