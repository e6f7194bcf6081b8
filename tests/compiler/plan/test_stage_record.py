"""Sums of a stage's record."""

from __future__ import annotations

from dataclasses import asdict, fields, replace

import pytest
from weft.compiler.plan.stage_record import PEMemory, shared_bytes

MEMORY = PEMemory(**{field.name: 10**n for n, field in enumerate(fields(PEMemory))})


@pytest.mark.parametrize("name", [field.name for field in fields(PEMemory)])
def test_every_class_of_memory_counts_once(name: str) -> None:
    more = replace(MEMORY, **{name: asdict(MEMORY)[name] + 7})
    assert MEMORY.total_bytes == 11_111_111
    assert more.total_bytes == MEMORY.total_bytes + 7


def test_stages_of_a_region_share_their_workspace() -> None:
    large = replace(MEMORY, workspace_bytes=MEMORY.workspace_bytes + 5)
    apart = MEMORY.total_bytes + large.total_bytes
    assert shared_bytes([MEMORY, large]) == apart - MEMORY.workspace_bytes
    assert shared_bytes([]) == 0
