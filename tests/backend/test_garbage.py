"""Collecting garbage without visiting all that was there before."""

from __future__ import annotations

import gc
import weakref

from weft.backend.garbage import older_objects_left_alone


class Circle:
    def __init__(self) -> None:
        self.own = self


def test_circles_made_inside_are_collected_inside_and_older_ones_afterwards() -> None:
    gc.collect()
    old = weakref.ref(Circle())
    with older_objects_left_alone():
        new = weakref.ref(Circle())
        gc.collect()
        assert new() is None
        assert old() is not None
    gc.collect()
    assert old() is None
    assert gc.get_freeze_count() == 0


def test_what_somebody_else_froze_stays_frozen() -> None:
    gc.freeze()
    try:
        with older_objects_left_alone():
            frozen = gc.get_freeze_count()
        assert gc.get_freeze_count() == frozen > 0
    finally:
        gc.unfreeze()


def test_a_failure_inside_leaves_nothing_frozen() -> None:
    try:
        with older_objects_left_alone():
            raise ValueError
    except ValueError:
        assert gc.get_freeze_count() == 0
