"""Arrays that an executor may donate lie in memory of their own."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from weft.runtime.jax.device import own_copy, start


def test_a_copy_does_not_follow_its_source() -> None:
    room = np.zeros(80, np.float32)
    first = -room.ctypes.data // 4 % 16  # where memory can be shared: at multiples of 64 bytes
    values = room[first : first + 64]
    copy = own_copy(values)
    values[:] = 1
    assert float(copy.sum()) == 0


def test_a_device_that_is_not_there_changes_nothing() -> None:
    before = jax.config.values["jax_platforms"]
    with pytest.raises(RuntimeError):
        start("nowhere")
    assert jax.config.values["jax_platforms"] == before
    assert start("cpu")[0].platform == "cpu"
