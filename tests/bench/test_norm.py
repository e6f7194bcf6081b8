from __future__ import annotations

import pytest
import torch
from weft.bench.norm import norm_times


@pytest.mark.parametrize("shape", [(1, 4), (2, 4, 3, 3)], ids=str)
def test_times_are_measured_and_the_threads_restored(shape: tuple[int, ...]) -> None:
    before = torch.get_num_threads()
    times = norm_times(shape, rounds=3, threads=1)
    assert torch.get_num_threads() == before
    assert (times.shape, times.rounds, times.threads) == (shape, 3, 1)
    assert min(times.group_norm_us, times.online_norm_us, times.ratio) > 0
