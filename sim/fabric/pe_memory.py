"""What a core's program holds at a time fits its memory."""

from __future__ import annotations

import numpy as np

from ...backend.errors import UserError
from ...compiler.targets.target import Target
from .fold import FoldedPart
from .region import FabricRegion, Operation

_WORD_BYTES = 4
_STREAMED = 6
"""Column of a part's code."""


def check_vectors(part: FoldedPart, target: Target) -> None:
    """Raises UserError for a vector that stays in a PE and is larger than its memory; what an
    exchange receives lies beside what it sends."""
    code = part.code[(part.code[:, 0] != Operation.COMPUTE) & (part.code[:, _STREAMED] == 0)]
    vectors = np.where(code[:, 0] == Operation.EXCHANGE, 2, 1) * code[:, 1].astype(np.int64)
    needed, held = _WORD_BYTES * int(vectors.max(initial=0)), target.sram.bytes_per_pe
    if needed > held:
        raise UserError(
            f"fabric program on {target.name}",
            expected=f"vectors of at most {held:,} B, all memory of a PE",
            got=f"{needed:,} B",
            change="shorter vectors on more PEs",
        )


def check_shape(region: FabricRegion, target: Target, memory: np.ndarray) -> None:
    """Raises UserError for a start that does not fit the region or the memory of a PE."""
    shape = region.height, region.width
    is_real = np.issubdtype(memory.dtype, np.floating) or np.issubdtype(memory.dtype, np.integer)
    if memory.ndim != 3 or memory.shape[:2] != shape or not is_real:
        raise UserError(
            "fabric region, memory",
            expected=f"({region.height}, {region.width}, words) real numbers, a row per PE",
            got=f"{memory.shape} of {memory.dtype}",
            change="give every PE of the region its words",
        )
    if memory.shape[2] * _WORD_BYTES > target.sram.bytes_per_pe:
        raise UserError(
            f"fabric region on {target.name}, memory",
            expected=f"at most {target.sram.bytes_per_pe:,} B per PE",
            got=f"{memory.shape[2] * _WORD_BYTES:,} B",
            change="shorter vectors on more PEs",
        )
