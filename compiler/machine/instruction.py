"""Instructions of one PE: their starts, and their elements at the rate of the memory's ports.

A vector instruction passes its elements in SIMD groups. A group takes what the ports need for the
two vectors it reads and the one it writes, or what a whole kernel was seen to sustain, whichever is
more; a group that is not full takes as long. Instructions start in hardware when words arrive
(`vector.issue_cycles`), or are written out in a program, which loads their descriptors first
(`vector.loop_cycles`).
"""

from __future__ import annotations

import numpy as np

from ...backend.errors import UserError
from ..targets.target import Compute, Target
from .arrays import Floats, Ints, ceil_div

_READS = 2
_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}
_INTEGER_BYTES = 4


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


def start_cycles(target: Target) -> float:
    """Start of an instruction: by hardware, or written out with its descriptors."""
    vector = target.vector
    return vector.issue_cycles + (0.0 if target.software.triggered else vector.loop_cycles)


def written_cycles(target: Target) -> float:
    """An instruction that is written out in a program: descriptors and start, without elements."""
    return target.vector.loop_cycles + target.vector.issue_cycles


def group_cycles(target: Target, dtype: str) -> float:
    """A SIMD group of multiply-adds whose operands all lie in memory."""
    rates = target.arithmetic(dtype)
    return _group_cycles(target, rates, int(rates.macs_per_cycle), dtype)


def groups(target: Target, dtype: str, elements: Ints | int) -> Ints:
    """SIMD groups of multiply-adds that hold `elements`."""
    return ceil_div(elements, max(1, int(target.arithmetic(dtype).macs_per_cycle)))


def multiply_add_cycles(target: Target, dtype: str, elements: Ints | int) -> Floats:
    """A vector of multiply-adds, its start not counted."""
    return groups(target, dtype, elements).astype(np.float64) * group_cycles(target, dtype)


def pass_cycles(
    target: Target, dtype: str, elements: Ints | int, passes: float | Ints = 1
) -> Floats:
    """`passes` element-wise instructions over `elements` each, with their starts."""
    rates = target.arithmetic(dtype)
    width = max(1, int(rates.elements_per_cycle))
    each = _group_cycles(target, rates, width, dtype)
    vector = ceil_div(elements, width).astype(np.float64) * each
    return passes * (start_cycles(target) + vector)


def column_groups(target: Target, dtype: str, elements: Ints | int) -> Floats:
    """SIMD groups of a column of a matrix whose columns of `elements` lie one after the other.

    A group begins at a whole word of the memory port (two reads share `read_bytes_per_cycle`), so a
    column that begins within a word takes its part of that word too. Mean over the columns.

    With 8 lanes and words of 4 halves a column of 15 begins 0, 3, 2 or 1 halves into a word: half
    of such columns take 3 groups, not 2.
    """
    word = max(1, target.sram.read_bytes_per_cycle // _READS // _itemsize(dtype))
    column = np.asarray(elements)
    offsets = [number * column % word for number in range(word)]
    return np.sum([groups(target, dtype, offset + column) for offset in offsets], axis=0) / word


def mapped_cycles(target: Target, dtype: str, vector_groups: Floats | Ints | float) -> Floats:
    """One multiply-add of a vector with a scalar, inside an instruction mapped over scalars.

    The first SIMD group costs `mapped_cycles`, each further one what the memory's ports allow.
    """
    further = np.maximum(0.0, np.asarray(vector_groups, np.float64) - 1)
    return software(target, "mapped_cycles") + further * group_cycles(target, dtype)


def _group_cycles(target: Target, rates: Compute, width: int, dtype: str) -> float:
    size = width * _itemsize(dtype)
    reads = _READS * size / target.sram.read_bytes_per_cycle
    writes = size / target.sram.write_bytes_per_cycle
    return max(1 / rates.sustained_fraction, reads, writes)


def _itemsize(dtype: str) -> int:
    return _BYTES.get(dtype, _INTEGER_BYTES)
