"""Every class of memory counts in the sums that capacity is held against."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from weft.compiler.kernels.held.memory import MemoryTable, Post
from weft.compiler.machine.tilings import Tilings
from weft.compiler.plan.stage_record import PEMemory, Tiling

TILINGS = Tilings.of(Tiling(1, 1, 1))
NO_CLASS = "tilings", "backward_first"
CLASSES = [field.name for field in fields(MemoryTable) if field.name not in NO_CLASS]
POST = Post(delay=4, passing_bytes=3000)


def table(**own: int) -> MemoryTable:
    values = {name: np.array([own.get(name, 0)]) for name in CLASSES}
    return MemoryTable(TILINGS, **values)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_alone_is_in_the_total_and_in_the_record(name: str) -> None:
    """What a backward needs of a sample is there for every sample in flight: five of them."""
    expected = 700 * (5 if name == "saved_bytes" else 1)
    only = table(**{name: 700})
    assert only.total(POST)[0] - table().total(POST)[0] == expected
    assert only.at(0, POST).total_bytes - table().at(0, POST).total_bytes == expected


def test_a_backward_that_comes_first_leaves_one_sample_less() -> None:
    first = replace(table(saved_bytes=700), backward_first=True)
    assert first.at(0, POST).activation_fifo_bytes == 4 * 700
    assert first.total(POST)[0] == first.at(0, POST).total_bytes


def test_streams_that_pass_count() -> None:
    assert table().total(POST)[0] == 3000 == table().at(0, POST).total_bytes
    assert table().at(0, POST).skip_fifo_bytes == 3000


@pytest.mark.parametrize("name", [field.name for field in fields(PEMemory)])
def test_every_class_of_a_record_is_in_its_total(name: str) -> None:
    nothing = PEMemory(**{field.name: 0 for field in fields(PEMemory)})
    assert nothing.total_bytes == 0
    assert replace(nothing, **{name: 9}).total_bytes == 9
