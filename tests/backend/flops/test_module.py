"""Every weight that a sparsifier takes is a row of the ledger, whatever module holds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.flop_counter import FlopCounterMode
from weft.backend.errors import UserError
from weft.backend.flops import module_ledger
from weft.sparsity import Sparsifier, configure

TOKENS = (torch.zeros(1, 6, dtype=torch.long),)


class Patches(nn.Module):
    """A vision transformer's start: a class token, learned positions, and a layer by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 8))
        self.pos_embed = nn.Parameter(torch.zeros(1, 5, 8))
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.mix = nn.Parameter(torch.randn(8, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patches(image).flatten(2).mT
        x = torch.cat([self.cls_token, x], 1) + self.pos_embed
        x = F.linear(x, self.mix)
        return x + self.attention(x, x, x, need_weights=False)[0]


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.middle = nn.Embedding(20, 8), nn.Linear(8, 8)
        self.lm_head = nn.Linear(8, 20, bias=False)
        self.lm_head.weight = self.table.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.lm_head(self.middle(self.table(tokens)))


class LooksAtValues(nn.Module):
    """Its forward cannot run on the meta device."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1  # type: ignore[operator]
        return F.dropout(self.layer(x)) if bool((x == 0).all()) else x


def _gpt2() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=20, n_positions=6)
    return transformers.GPT2LMHeadModel(config)


def _llama() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=20,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        use_cache=False,
        attn_implementation="eager",
    )
    return transformers.LlamaForCausalLM(config)


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[Any, ...]]] = {
    "patches": (Patches, (torch.zeros(1, 3, 8, 8),)),
    "gpt2": (_gpt2, TOKENS),
    "llama": (_llama, TOKENS),
    "tied": (Tied, TOKENS),
    "encoder": (lambda: nn.TransformerEncoderLayer(8, 2, 16).eval(), (torch.zeros(5, 1, 8),)),
    "looks at values": (LooksAtValues, (torch.zeros(1, 4),)),
}


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("name", MODELS)
def test_masks_that_the_sparsifier_makes_by_default_are_priced(name: str) -> None:
    make, inputs = MODELS[name]
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    masks = Sparsifier(model, optimizer, {"sparsity": 0.75}).masks
    ledger = module_ledger(model, inputs, masks)
    multiplied = {layer.weight: layer for layer in ledger.layers if layer.weight}
    looked_up = {"cls_token", "pos_embed", "table.weight", "model.embed_tokens.weight"}
    looked_up |= {"transformer.wte.weight", "transformer.wpe.weight"}
    assert masks.keys() - looked_up <= multiplied.keys()
    for weight in masks.keys() & multiplied.keys():
        assert multiplied[weight].density == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "encoder"])
def test_the_sum_is_that_of_torchs_counter(name: str) -> None:
    """On meta tensors, where attention is made of products that torch counts."""
    make, inputs = MODELS[name]
    model = make()
    ledger = module_ledger(model, inputs)
    device = "cpu" if name in ("looks at values", "llama") else "meta"
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.to(device)(*(value.to(device) for value in inputs))
    assert ledger.forward.dense == counter.get_total_flops()


def test_gpt2_has_a_row_for_each_of_its_matrices() -> None:
    ledger = module_ledger(_gpt2(), TOKENS)
    rows = {layer.name.rpartition("h.0.")[2]: layer.macs for layer in ledger.layers}
    assert rows == {
        "attn.c_attn": 6 * 8 * 24,
        "attn.c_proj": 6 * 8 * 8,
        "mlp.c_fc": 6 * 8 * 32,
        "mlp.c_proj": 6 * 32 * 8,
        "lm_head": 6 * 8 * 20,
        "batched products": 2 * 6 * 6 * 8,
    }
    kinds = {layer.name: layer.kind for layer in ledger.layers}
    assert (kinds["lm_head"], kinds["batched products"]) == ("vocabulary", "attention")


def test_a_fused_encoder_has_the_rows_of_an_unfused_one() -> None:
    layer, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.zeros(1, 5, 8)
    training = module_ledger(layer, (x,))
    assert module_ledger(layer.eval(), (x,)) == training
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_computed_weight_has_the_density_of_what_it_is_computed_from() -> None:
    model = nn.Sequential(weight_norm(nn.Linear(8, 8, bias=False)))
    ledger = module_ledger(model, (torch.zeros(1, 8),))
    (layer,) = ledger.layers
    assert layer.weight == "0.parametrizations.weight.original1"


def test_a_run_leaves_the_model_and_torchs_generator_as_they_were() -> None:
    model = LooksAtValues()
    before = torch.get_rng_state()
    assert module_ledger(model, (torch.zeros(1, 4),)).forward.dense == 2 * 16
    assert torch.equal(torch.get_rng_state(), before)
    assert float(model.calls) == 0  # type: ignore[arg-type]


def test_what_cannot_run_or_has_no_shape_is_refused() -> None:
    with pytest.raises(UserError, match="inputs that model"):
        module_ledger(nn.Linear(4, 4), (torch.zeros(1, 5),))
    with pytest.raises(UserError, match="give it weights"):
        module_ledger(LooksAtValues().to("meta"), (torch.zeros(1, 4),))
    with pytest.raises(UserError, match="lazy"):
        module_ledger(nn.LazyLinear(4), (torch.zeros(1, 4),))
    masks = configure(0.5).masks(nn.Sequential(nn.Linear(4, 4)))
    with pytest.raises(UserError, match="no such parameter"):
        module_ledger(nn.Linear(4, 4), (torch.zeros(1, 4),), masks)
