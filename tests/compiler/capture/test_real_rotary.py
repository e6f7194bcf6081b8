"""Complex rotary positions in real numbers are those of transformers, which are as before after."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from weft.compiler.capture.real_rotary import real_rotary

transformers = pytest.importorskip("transformers")
SIZES = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 8}


def _deepseek(**options: Any) -> tuple[Any, Any, tuple[int, ...]]:
    from transformers.models.deepseek_v2 import modeling_deepseek_v2 as home

    config = transformers.DeepseekV2Config(**SIZES, qk_rope_head_dim=4, **options)
    return home, home.DeepseekV2RotaryEmbedding(config), (2, 2, 5, 4)


def _llama4(**options: Any) -> tuple[Any, Any, tuple[int, ...]]:
    from transformers.models.llama4 import modeling_llama4 as home

    config = transformers.Llama4TextConfig(**SIZES, head_dim=4, **options)
    return home, home.Llama4TextRotaryEmbedding(config), (2, 5, 2, 4)


@pytest.mark.parametrize("made", [_deepseek, _llama4])
def test_pairs_turn_as_complex_numbers_do(made: Any) -> None:
    torch.manual_seed(0)
    home, rotary, shape = made()
    queries, keys = torch.randn(shape), torch.randn(shape)
    positions = torch.arange(5).expand(2, 5)

    def turned() -> tuple[torch.Tensor, torch.Tensor]:
        return home.apply_rotary_emb(queries, keys, rotary(queries, positions))

    expected, before = turned(), home.apply_rotary_emb
    with real_rotary(rotary):
        assert not rotary(queries, positions).is_complex()
        got = turned()
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)
    assert home.apply_rotary_emb is before
    assert rotary(queries, positions).is_complex()


def test_frequencies_that_depend_on_the_sample_stay() -> None:
    _, rotary, shape = _deepseek(rope_parameters={"rope_type": "dynamic", "factor": 2.0})
    with real_rotary(rotary):
        assert rotary(torch.randn(shape), torch.arange(5)[None]).is_complex()
