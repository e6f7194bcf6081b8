"""Depth pruning: exact counts of a published decoder, images, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from weft.backend.errors import UserError
from weft.backend.nn.depth import (
    angular_distances,
    best_run,
    find_blocks,
    prune_depth,
    slerp,
    stream_states,
)
from weft.backend.nn.resnet import resnet

transformers = pytest.importorskip("transformers")

# all parameters of Llama-3.1-8B without so many blocks
LLAMA = {0: 8_030_261_248, 2: 7_594_037_248, 6: 6_721_589_248, 10: 5_849_141_248}
PRODUCTS_SAVED = {2: 0.0581, 6: 0.1744, 10: 0.2906}


def llama_8b() -> nn.Module:
    config = transformers.LlamaConfig(
        vocab_size=128256,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        tie_word_embeddings=False,
    )
    with torch.device("meta"):
        return transformers.LlamaForCausalLM(config)


def tiny(kind: str) -> nn.Module:
    torch.manual_seed(0)
    if kind == "llama":
        config = transformers.LlamaConfig(
            vocab_size=31,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=5,
            num_attention_heads=2,
            num_key_value_heads=1,
        )
        return transformers.LlamaForCausalLM(config).eval()
    config = transformers.GPT2Config(vocab_size=31, n_embd=16, n_layer=5, n_head=2, n_positions=32)
    return transformers.GPT2LMHeadModel(config).eval()


def run(model: nn.Module) -> Any:
    return model(torch.arange(12)[None] % 31)


def meta_run(model: nn.Module) -> Any:
    return model(torch.zeros(1, 8, dtype=torch.long, device="meta"))


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def products(model: nn.Module) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        meta_run(model)
    attention = counter.get_flop_counts()["Global"]
    return sum(n for op, n in attention.items() if "mm" in str(op) and "bmm" not in str(op))


def test_parameters_and_products_of_llama_8b_without_blocks_are_exact() -> None:
    model = llama_8b()
    blocks = find_blocks(model, meta_run)
    assert (blocks.path, len(blocks)) == ("model.layers", 32)
    assert count(model) == LLAMA[0]
    whole = products(model)
    for removed, saved in PRODUCTS_SAVED.items():
        pruned = prune_depth(model, blocks, 20, removed)
        assert count(pruned) == LLAMA[removed]
        assert 1 - products(pruned) / whole == pytest.approx(saved, abs=5e-5)
    assert 1 - LLAMA[6] / LLAMA[0] == pytest.approx(0.16297, abs=5e-6)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_pruned_decoder_is_the_decoder_without_those_blocks(kind: str) -> None:
    """Held against a decoder whose blocks are made to change nothing."""
    model = tiny(kind)
    blocks = find_blocks(model, run)
    pruned = prune_depth(model, blocks, 1, 2)
    for number in (1, 2):
        block = model.get_submodule(f"{blocks.path}.{number}")
        for name, parameter in block.named_parameters():
            if "proj" in name and ("o_proj" in name or "down" in name or "c_proj" in name):
                parameter.data.zero_()  # what writes to the residual stream
    torch.testing.assert_close(run(pruned).logits, run(model).logits)
    generated = pruned.generate(torch.tensor([[1, 2]]), max_new_tokens=4, min_new_tokens=4)
    assert generated.shape == (1, 6)


def test_distances_are_angles_of_the_stream_at_the_last_real_token() -> None:
    model = tiny("llama")
    blocks = find_blocks(model, run)
    ids, mask = torch.tensor([[3, 4, 5, 0, 0]]), torch.tensor([[1, 1, 1, 0, 0]])
    states = stream_states(model, blocks, [{"input_ids": ids, "attention_mask": mask}])
    with torch.no_grad():
        hidden = model(ids, attention_mask=mask, output_hidden_states=True).hidden_states
    expected = torch.stack([state[0, 2] for state in hidden[:-1]])
    np.testing.assert_allclose(states[0, :-1], expected.numpy(), rtol=1e-5, atol=1e-6)
    for n in (1, 3):
        found = angular_distances(states, n)
        cosine = torch.nn.functional.cosine_similarity(
            torch.tensor(states[0, :-n]), torch.tensor(states[0, n:])
        )
        np.testing.assert_allclose(found, torch.arccos(cosine).numpy() / np.pi, atol=1e-4)
        assert best_run(states, n) == int(np.argmin(found))


def test_a_block_that_changes_nothing_is_chosen() -> None:
    model = tiny("gpt2")
    for name, parameter in model.transformer.h[3].named_parameters():
        if "c_proj" in name:
            parameter.data.zero_()
    blocks = find_blocks(model, run)
    states = stream_states(model, blocks, [(torch.arange(9)[None],)])
    assert best_run(states, 1) == 3
    assert angular_distances(states, 1)[3] == pytest.approx(0, abs=1e-6)


def test_blocks_of_a_residual_network_for_images() -> None:
    model = resnet(20, in_channels=1, normalization="group")
    x = torch.randn(1, 1, 16, 16)
    blocks = find_blocks(model, lambda m: m(x))
    assert (blocks.path, len(blocks)) == ("blocks", 9)
    assert blocks.of_one_shape() == range(3)
    states = stream_states(model, blocks, [(x,)] * 2, tokens=False)
    assert states.shape == (2, 4, 16)
    with pytest.raises(UserError, match="take blocks within"):
        stream_states(model, blocks, [(x,)], tokens=False, span=range(1, 5))
    pruned = prune_depth(model, blocks, 1, 2)
    assert pruned(x).shape == model(x).shape
    assert count(pruned) == count(model) - 2 * (2 * 16 * 16 * 9 + 4 * 16)
    with pytest.raises(UserError, match="shape"):
        prune_depth(model, blocks, 2, 2)


def test_what_cannot_be_pruned_is_refused() -> None:
    model = tiny("gpt2")
    blocks = find_blocks(model, run)
    for number in (0, 5):
        with pytest.raises(UserError, match="blocks to remove"):
            prune_depth(model, blocks, 0, number)
    chain = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    with pytest.raises(UserError, match="residual stream"):
        find_blocks(nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3)), lambda m: m(torch.zeros(1, 4)))
    layers = [nn.Linear(4, 4), nn.GELU(approximate="tanh"), nn.Linear(4, 4), nn.LayerNorm(4)]
    same_width = nn.Sequential(nn.Sequential(*layers), nn.Linear(4, 3))
    with pytest.raises(UserError, match="4 modules in a chain, none of which adds"):
        find_blocks(same_width, lambda m: m(torch.zeros(1, 4)), path="0")
    with pytest.raises(UserError, match="no ModuleList"):
        find_blocks(chain, lambda m: m(torch.zeros(1, 4)), path="layers")


def test_slerp_stays_on_the_arc() -> None:
    a, b = {"w": torch.tensor([3.0, 0.0])}, {"w": torch.tensor([0.0, 3.0])}
    middle = slerp(a, b, 0.5)["w"]
    torch.testing.assert_close(middle, torch.full((2,), 3 / 2**0.5))
    torch.testing.assert_close(slerp(a, b, 0.0)["w"], a["w"])
    torch.testing.assert_close(slerp(a, b, 1.0)["w"], b["w"])
    same = {"w": 2 * a["w"]}
    torch.testing.assert_close(slerp(a, same, 0.25)["w"], torch.tensor([3.75, 0.0]))
    with pytest.raises(UserError, match="same names"):
        slerp(a, {"v": b["w"]}, 0.5)
