"""One transformer layer over a whole prompt (prefill), fp16, on p x p PEs, one merged head."""

from __future__ import annotations

import numpy as np
import pytest
from weft.compiler.targets import load_target
from weft.study.published.prefill import sums_around

WSE2, WSE3 = load_target("wse2"), load_target("wse3")


def step_by_step(pes: int, step: float, words: int) -> float:
    """`sums_around`, one PE after the other."""
    noc = WSE3.noc
    onward = 2 * noc.ramp_cycles + noc.hop_cycles + noc.relay_cycles
    ready = [0.0] * pes
    ring = [0, *range(1, pes, 2), *reversed(range(2, pes, 2))]
    for root in ring:
        ready = [time + step + noc.issue_cycles for time in ready]
        for arm in (range(pes - 1, root, -1), range(root)):
            arrival = -np.inf
            for pe in arm:
                start = max(ready[pe], arrival)
                ready[pe] = start + noc.relay_cycles + words
                arrival = start + onward
            if len(arm):
                ready[root] = max(ready[root], arrival) + words
    return max(ready)


@pytest.mark.parametrize("pes", [2, 3, 8, 21])
@pytest.mark.parametrize("step", [5, 400])
def test_sums_to_a_turning_root_step_by_step(pes, step):
    found = sums_around(WSE3, pes, step, 6)
    assert found == pytest.approx(step_by_step(pes, step, 6))
    assert found >= pes * (step + WSE3.noc.issue_cycles + 6)
