"""A prompt that begins as tokens computes what those tokens do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.nn import SoftPrompt
from weft.sparsity import Sparsifier

IDS = torch.tensor([[4, 1, 9], [0, 3, 2]])


class Decoder(nn.Module):
    """Causal, with learned positions and a tied head."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(11, 8), nn.Embedding(16, 8)
        self.mix, self.head = nn.Linear(8, 8), nn.Linear(8, 11, bias=False)
        self.head.weight = self.tokens.weight

    def get_input_embeddings(self) -> nn.Module:
        return self.tokens

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        x = x + F.scaled_dot_product_attention(x, x, x, is_causal=True)
        return self.head(torch.tanh(self.mix(x)))


def _gpt2() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        n_layer=2, n_head=2, n_embd=8, vocab_size=11, n_positions=16, bos_token_id=0, eos_token_id=0
    )
    return transformers.GPT2LMHeadModel(config).eval()


MODELS: dict[str, Callable[[], nn.Module]] = {"decoder": Decoder, "gpt2": _gpt2}


def _logits(y: object) -> Tensor:
    return y if isinstance(y, Tensor) else y.logits  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", MODELS)
def test_a_prompt_that_begins_as_tokens_is_these_tokens(name: str) -> None:
    torch.manual_seed(0)
    model = MODELS[name]()
    before = torch.tensor([[7, 5], [7, 5]])
    expected = _logits(model(torch.cat([before, IDS], 1))).detach()
    prompted = SoftPrompt(model, 2, tokens=(7, 5))
    assert torch.equal(prompted(IDS), expected[:, 2:])
    prompted.cut = False
    assert torch.equal(prompted(IDS), expected)


def test_only_the_prompt_trains() -> None:
    torch.manual_seed(0)
    prompted = SoftPrompt(Decoder(), 3)
    assert {n for n, p in prompted.named_parameters() if p.requires_grad} == {"model.tokens.prompt"}
    assert prompted.prompt.shape == (3, 8)
    frozen = {n: p.detach().clone() for n, p in prompted.named_parameters() if not p.requires_grad}
    optimizer = torch.optim.Adam([prompted.prompt], 0.1)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = F.cross_entropy(prompted(IDS).flatten(0, 1), IDS.flatten())
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
    for name, value in frozen.items():
        assert torch.equal(prompted.get_parameter(name), value)


def test_the_gradient_is_that_of_embeddings_put_before() -> None:
    torch.manual_seed(0)
    model = Decoder().double()
    prompted = SoftPrompt(model, 2)
    prompted(IDS).square().sum().backward()
    start = prompted.prompt.detach().clone().requires_grad_()
    x = torch.cat([start.expand(2, 2, 8), model.tokens.weight.detach()[IDS]], 1)
    x = x + model.positions(torch.arange(5))
    x = x + F.scaled_dot_product_attention(x, x, x, is_causal=True)
    model.head(torch.tanh(model.mix(x)))[:, 2:].square().sum().backward()
    torch.testing.assert_close(prompted.prompt.grad, start.grad)


def test_a_sparse_base_stays_sparse() -> None:
    model = Decoder()
    sgd = torch.optim.SGD(model.parameters(), 0.1)
    Sparsifier(model, sgd, {"sparsity": 0.75, "param_filter": "mix.weight"})
    prompted = SoftPrompt(model, 2, trained=("positions.*",))
    assert model.positions.weight.requires_grad
    prompted(IDS).square().sum().backward()
    assert int(model.mix.weight.count_nonzero()) == 16
    assert model.mix.weight.grad is None


def test_what_cannot_be_prompted_is_refused() -> None:
    with pytest.raises(UserError, match=r"one of 0, 1"):
        SoftPrompt(nn.Sequential(nn.Embedding(4, 2), nn.Embedding(4, 2)), 1)
    with pytest.raises(UserError, match="there is none"):
        SoftPrompt(nn.Sequential(nn.Linear(4, 2)), 1)
    with pytest.raises(UserError, match="at least 1"):
        SoftPrompt(Decoder(), 0)
    with pytest.raises(UserError, match="3, 2 tokens"):
        SoftPrompt(Decoder(), 3, tokens=(1, 2))
    with pytest.raises(UserError, match="ids from 0 to 10"):
        SoftPrompt(Decoder(), 2, tokens=(1, 11))
    with pytest.raises(UserError, match=r"float32 of shape \(2, 3, 8\)"):
        SoftPrompt(Decoder(), 2)(torch.zeros(2, 3, 8))
    pooled = nn.Sequential(nn.Embedding(11, 8), nn.Flatten(), nn.Linear(40, 3))
    with pytest.raises(UserError, match=r"\(N, 5, ...\) to cut[\s\S]*\(2, 3\)[\s\S]*cut=False"):
        SoftPrompt(pooled, 2)(IDS)
    with pytest.raises(UserError, match=r"at most 16[\s\S]*14 virtual tokens and 3"):
        SoftPrompt(_gpt2(), 14)(IDS)


def test_prompts_that_cannot_be_are_refused() -> None:
    for length in (2.5, True, 0):
        with pytest.raises(UserError, match="a whole number, at least 1"):
            SoftPrompt(Decoder(), length)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"trained 'norm\.\*'[\s\S]*no match"):
        SoftPrompt(Decoder(), 2, trained=("norm.*",))
    with pytest.raises(UserError, match="without a prompt or an adapter"):
        SoftPrompt(SoftPrompt(Decoder(), 2), 3, embedding="model.tokens.table")
