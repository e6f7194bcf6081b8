"""Attention of grouped queries for one token, against torch's own attention."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from weft.backend.errors import UserError
from weft.compiler.targets import load_target
from weft.sim.validation.row import Row
from weft.study.published import KERNELS
from weft.study.published.attention import GroupedAttention, power_of_e


def test_its_exponential_is_that_of_torch():
    x = torch.linspace(-87, 3, 10_001)
    torch.testing.assert_close(power_of_e(x), x.exp(), rtol=5e-6, atol=0.0)
    assert power_of_e(torch.tensor([-1e6])).item() < 1e-37


def test_it_is_attention_of_grouped_queries():
    """Without a rotation, as torch computes it from keys and values."""
    torch.manual_seed(0)
    heads, key_heads, size, context, dim = 4, 2, 8, 5, 24
    module = GroupedAttention(dim, heads, key_heads, size, context)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    torch.nn.init.ones_(module.cosine)
    torch.nn.init.zeros_(module.sine)
    torch.nn.init.ones_(module.values[..., size:])
    x = torch.randn(1, dim)
    query = module.qkv(module.norm(x))[:, : heads * size].view(heads, size)
    query = torch.nn.functional.rms_norm(query, (size,), module.query_norm.weight, 1e-6)
    keys, values = module.keys.transpose(1, 2), module.values[..., :size]
    found = scaled_dot_product_attention(
        query[None, :, None], keys[None], values[None], enable_gqa=True
    )
    expected = x + module.output(found.reshape(1, -1))
    torch.testing.assert_close(module(x), expected)


def test_heads_that_do_not_share_evenly_are_refused():
    kernel = KERNELS["attention_block"]
    columns = {"p": "8", "dim": "64", "context": "64", "heads": "6", "kv_heads": "4"}
    with pytest.raises(UserError, match="heads 6, kv_heads 4"):
        kernel.simulate(load_target("wse3"), Row("test", columns))


def test_a_layer_is_its_two_blocks():
    sizes = {
        "p": 16,
        "dim": 64,
        "ffn": 128,
        "context": 64,
        "heads": 4,
        "kv_heads": 2,
        "head_dim": 16,
    }
    row = Row("test", {name: str(size) for name, size in sizes.items()} | {"layers": "1"})
    blocks = ("attention_block", "feed_forward_block", "steady_pipeline")
    first, second, both = (KERNELS[name].simulate(load_target("wse3"), row)[0] for name in blocks)
    assert both == pytest.approx(first + second, rel=0.02)
