"""What a process holds in memory."""

from __future__ import annotations

import mmap

import pytest
from weft.bench.resident import Resident


def test_memory_is_counted() -> None:
    before = Resident.now()
    if before.own_mib is None:
        pytest.skip("this system does not tell")
    held = mmap.mmap(-1, 2**26, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # no freed memory
    held.write(b"1" * 2**26)
    after = Resident.now()
    assert 60 < after.own_mib - before.own_mib < 80
    assert after.peak_mib >= after.own_mib
    held.close()


def test_in_words() -> None:
    assert Resident(10.4, None).text() == "10 MiB"
    assert Resident(10.4, 3.6).text() == "10 MiB, 4 MiB of them no file's"
