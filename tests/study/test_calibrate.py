"""Calibration by every executor against eager torch, and what a good choice of blocks is worth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from weft.backend.nn.depth import (
    BlockList,
    angular_distances,
    best_run,
    find_blocks,
    prune_depth,
    stream_states,
)
from weft.backend.nn.resnet import resnet
from weft.study.calibrate import calibrated_states

EXECUTORS = ["reference", "jax", "torch-xla"]


def _package(executor: str) -> None:
    if executor != "reference":
        pytest.importorskip(executor.replace("-", "_"))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_executors_give_the_states_of_eager_torch_for_a_decoder(executor: str) -> None:
    _package(executor)
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=31,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=4,
        num_attention_heads=2,
        num_key_value_heads=1,
        use_cache=False,
    )
    model = transformers.LlamaForCausalLM(config).train()
    tokens = np.random.default_rng(0).integers(0, 31, (5, 7))
    blocks = find_blocks(model, lambda m: m(torch.from_numpy(tokens[:1])))
    expected = stream_states(model, blocks, [(torch.from_numpy(row[None]),) for row in tokens])
    found = calibrated_states(model, blocks, tokens, executor=executor)
    assert found.shape == (5, 5, 16)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_states_of_images_leave_normalization_as_it_was() -> None:
    pytest.importorskip("jax")
    model = resnet(20, in_channels=1, normalization="online")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = np.random.default_rng(0).standard_normal((2, 1, 8, 8)).astype(np.float32)
    blocks = find_blocks(model, lambda m: m(torch.from_numpy(x[:1])))
    expected = stream_states(model, blocks, [(torch.from_numpy(row[None]),) for row in x], False)
    found = calibrated_states(model, blocks, x, tokens=False)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert model.training


class Residual(nn.Module):
    """x + W2 relu(W1 norm(x))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        wide = nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        self.within = nn.Sequential(nn.LayerNorm(width), *wide)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.within(x)


def _trained(seed: int) -> tuple[nn.Module, Tensor, Tensor]:
    """Eight residual blocks that separate two rings, by eager torch."""
    torch.manual_seed(seed)
    angle, ring = 6.2832 * torch.rand(400), torch.randint(0, 2, (400,))
    x = (1.0 + ring + 0.2 * torch.randn(400))[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    blocks = nn.Sequential(*(Residual(16) for _ in range(8)))
    head = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 2))
    model = nn.Sequential(nn.Linear(2, 16), blocks, head)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(model(x), ring).backward()
        optimizer.step()
    return model, x, ring


@pytest.mark.parametrize("count", [1, 3])
def test_removing_the_argmin_blocks_hurts_less_than_the_mean_choice(count: int) -> None:
    for seed in range(2):
        model, x, ring = _trained(seed)
        blocks = find_blocks(model, lambda m, x=x: m(x[:1]), path="1")
        assert isinstance(blocks, BlockList)
        states = stream_states(model, blocks, [(x,)], tokens=False)
        with torch.no_grad():
            losses = [
                F.cross_entropy(prune_depth(model, blocks, first, count)(x), ring).item()
                for first in range(9 - count)
            ]
        assert len(angular_distances(states, count)) == len(losses)
        assert losses[best_run(states, count)] < np.mean(losses) / 2
