"""One transformer layer over a whole prompt (prefill), fp16, on p x p PEs, one merged head."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from weft.compiler.targets import load_target
from weft.sim.validation.row import Row
from weft.study.published import KERNELS, decode, prefill
from weft.study.published.prefill import PrefillLayer, sums_around

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


@pytest.mark.parametrize(("p", "tiles"), [(360, (12, 12, 40)), (720, (6, 6, 20))])
def test_a_plan_of_the_layer_takes_what_the_published_program_does(p, tiles):
    """4,096 tokens of an 8B model: it skews three inputs more, and its scores need no sums."""
    names = ("seq_per_pe", "dim_per_pe", "ffn_per_pe")
    columns = {"p": str(p)} | {n: str(size) for n, size in zip(names, tiles, strict=True)}
    published, planned = (
        KERNELS[name].simulate(WSE3, Row("test", columns))[0]
        for name in ("prefill_layer", "prefill_block")
    )
    assert planned == pytest.approx(published, rel=0.06)


def test_the_module_is_a_transformer_layer_over_a_prompt(monkeypatch):
    """With a true exponential and no rotation, as torch computes it."""
    monkeypatch.setattr(decode, "exponential", torch.exp)
    monkeypatch.setattr(prefill, "exponential", torch.exp)
    torch.manual_seed(0)
    module, x = PrefillLayer(24, 40), torch.randn(1, 5, 24)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    torch.nn.init.ones_(module.cosine)
    torch.nn.init.zeros_(module.sine)
    layers, normed = module.layers, module.norm(x)
    query, key, value = (layers[name](normed) for name in ("query", "key", "value"))
    hidden = x + layers["output"](F.scaled_dot_product_attention(query, key, value))
    normed = F.rms_norm(hidden, (24,), module.wide_norm.weight, 1e-6)
    expected = hidden + layers["down"](F.silu(layers["gate"](normed)) * layers["up"](normed))
    torch.testing.assert_close(module(x), expected)
