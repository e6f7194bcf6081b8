"""Which blocks add to the stream they read: seen from operators, in networks of other people."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import weft
from torch import nn
from weft.backend.errors import UserError
from weft.backend.nn.depth import find_blocks, prune_depth


def run(model: nn.Module) -> Any:
    return model(torch.arange(12)[None] % 31)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


class Adding(nn.Module):
    """x + f(x)."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layer(torch.relu(x))


def test_a_layer_between_blocks_is_not_removed() -> None:
    """A chain of one width whose third module replaces the stream."""
    model = nn.Sequential(Adding(), Adding(), nn.Linear(4, 4), Adding())
    whole = nn.ModuleDict({"body": model})
    blocks = find_blocks(whole, lambda m: m["body"](torch.zeros(1, 4)))
    assert blocks.adding == (True, True, False, True)
    assert blocks.of_one_shape() == range(2)
    assert len(prune_depth(whole, blocks, 0, 2)["body"]) == 2
    with pytest.raises(UserError, match="block 2 that adds nothing to what it reads"):
        prune_depth(whole, blocks, 1, 2)


@pytest.mark.parametrize("name", ["BertModel", "GPTNeoXModel", "BloomModel", "OPTModel"])
def test_blocks_of_transformers_add_to_their_stream(name: str) -> None:
    """Norms before and after the sum, sums of three, and sums in one operator with a product."""
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "n_layer": 3}
    more = {"intermediate_size": 24, "ffn_dim": 24, "word_embed_proj_dim": 16, "n_head": 2}
    config_class = getattr(transformers, name.replace("Model", "Config"))
    model = getattr(transformers, name)(config_class(vocab_size=31, **sizes, **more)).eval()
    blocks = find_blocks(model, run)
    assert blocks.adding == (True,) * 3
    assert count(prune_depth(model, blocks, 1, 1)) < count(model)


def test_blocks_of_reversible_networks_add_to_half_of_their_stream() -> None:
    model = weft.models.revnet(38, in_channels=1, normalization="group")
    blocks = find_blocks(model, lambda m: m(torch.zeros(1, 1, 16, 16)))
    assert len(blocks.of_one_shape()) > 1
