"""What a process holds in memory."""

from __future__ import annotations

import numpy as np
import pytest
from weft.bench.resident import Resident


def test_an_array_is_counted() -> None:
    before = Resident.now()
    if before.own_mib is None:
        pytest.skip("this system does not tell")
    held = np.ones(8 * 2**20)  # 64 MiB
    after = Resident.now()
    assert 60 < after.own_mib - before.own_mib < 80
    assert after.peak_mib >= after.own_mib
    assert held[0] == 1


def test_in_words() -> None:
    assert Resident(10.4, None).text() == "10 MiB"
    assert Resident(10.4, 3.6).text() == "10 MiB, 4 MiB of them no file's"
