"""A value belongs to one object, and goes with it."""

from __future__ import annotations

import gc

from weft.backend.per_object import once_per_object


class Thing:
    """Equal to every other one."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thing)

    __hash__ = None  # type: ignore[assignment]


def test_a_value_is_made_once_for_each_object_and_forgotten_with_it() -> None:
    made: list[int] = []

    @once_per_object
    def number(of: Thing) -> int:
        made.append(id(of))
        return len(made)

    one, other = Thing(), Thing()
    assert [number(one), number(other), number(one)] == [1, 2, 1]
    del one
    gc.collect()
    assert number.__closure__ is not None
    held = next(c.cell_contents for c in number.__closure__ if isinstance(c.cell_contents, dict))
    assert list(held.values()) == [2]
