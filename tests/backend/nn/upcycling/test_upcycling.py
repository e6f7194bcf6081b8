"""Upcycled models begin as what they were; counts, balance and capacity as published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.backend.nn.upcycling import Experts
from weft.backend.nn.upcycling.router import balance_loss, capacity_of, is_chosen, is_taken, z_loss
from weft.nn import upcycle
from weft.sparsity import Sparsifier

X = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0)).double()


class Gated(nn.Module):
    def __init__(self, width: int = 8, hidden: int = 16, bias: bool = False) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, hidden, bias=bias)
        self.up_proj = nn.Linear(width, hidden, bias=bias)
        self.down_proj = nn.Linear(hidden, width, bias=bias)
        self.act_fn = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))


class Plain(nn.Module):
    def __init__(self, activation: Callable[[Tensor], Tensor], bias: bool) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(8, 16, bias=bias), nn.Linear(16, 8, bias=bias)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.activation(self.fc1(x)))


def _squared_relu(x: Tensor) -> Tensor:
    return torch.relu(x).square()


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "gated": Gated,
    "gated with biases": lambda: Gated(bias=True),
    "relu": lambda: Plain(torch.relu, False),
    "squared relu": lambda: Plain(_squared_relu, False),
    "gelu with biases": lambda: Plain(nn.GELU(), True),
    "sequence": lambda: nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8)),
}


def _model(name: str) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(LAYERS[name]()).double()


@pytest.mark.parametrize("name", LAYERS)
def test_weights_that_sum_to_one_preserve_the_model(name: str) -> None:
    model = _model(name)
    up = upcycle(model, ("0",), experts=8, top_k=2)
    assert isinstance(up.model[0], Experts)  # type: ignore[index]
    torch.testing.assert_close(up.model(X), model(X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("granularity", [1, 2, 4])
@pytest.mark.parametrize("order", ["softmax-top-k", "top-k-softmax"])
@pytest.mark.parametrize("name", LAYERS)
def test_exact_scaling_preserves_the_model_under_a_router_of_zeros(
    name: str, order: Any, granularity: int
) -> None:
    model = _model(name)
    up = upcycle(
        model, ("0",), experts=8, top_k=4, granularity=granularity, order=order, scaling="exact"
    )
    if order == "softmax-top-k":
        nn.init.zeros_(up.model.get_parameter("0.router.weight"))
    torch.testing.assert_close(up.model(X), model(X), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "factor"), [("gated", 4 ** (1 / 3)), ("relu", 2.0), ("squared relu", 4 ** (1 / 3))]
)
def test_the_published_factors(name: str, factor: float) -> None:
    """G = 1, E = 8, k = 2: c = 4; exact for ReLU and squared ReLU, near for SiLU."""
    model = _model(name)
    up = upcycle(model, ("0",), experts=8, order="softmax-top-k", scaling="published")
    nn.init.zeros_(up.model.get_parameter("0.router.weight"))
    first = next(model.parameters())
    stacked = "0.gate" if name == "gated" else "0.up"
    torch.testing.assert_close(up.model.get_parameter(stacked)[3], first * factor)
    far = (up.model(X) - model(X)).abs().max() / model(X).abs().max()
    assert far < 1e-12 if name != "gated" else 1e-3 < far < 0.5


def test_without_scaling_the_sum_shrinks_to_the_share_of_the_chosen() -> None:
    model = _model("relu")
    up = upcycle(model, ("0",), experts=8, order="softmax-top-k")
    nn.init.zeros_(up.model.get_parameter("0.router.weight"))
    torch.testing.assert_close(up.model(X), model(X) * 2 / 8)


def test_experts_are_shards_and_copies_and_the_first_choice_is_whole_copies() -> None:
    model = _model("gated")
    up = upcycle(model, ("0",), experts=6, top_k=2, granularity=2)
    mixture = up.model[0]  # type: ignore[index]
    assert isinstance(mixture, Experts)
    for number in range(6):
        shard = slice(8 * (number % 2), 8 * (number % 2) + 8)
        assert torch.equal(mixture.up[number], model[0].up_proj.weight[shard])  # type: ignore[index,union-attr]
        assert torch.equal(mixture.down[number], model[0].down_proj.weight[:, shard])  # type: ignore[index,union-attr]
    chosen = is_chosen(mixture.router(X.reshape(-1, 8))[1], 6)
    assert (chosen.reshape(-1, 3, 2).sum(-1) % 2 == 0).all()
    assert (chosen.sum(-1) == 2).all()
    assert len(chosen.unique(dim=0)) > 1


def test_a_mixture_is_the_sum_over_its_chosen_one_by_one() -> None:
    up = upcycle(_model("gated with biases"), ("0",), experts=4, top_k=2, order="softmax-top-k")
    mixture = up.model[0]  # type: ignore[index]
    for parameter in mixture.parameters():
        nn.init.normal_(parameter, std=0.5)
    for token, y in zip(X.reshape(-1, 8), mixture(X).reshape(-1, 8), strict=True):
        shares = torch.softmax(mixture.router.weight @ token, -1)
        expected = torch.zeros(8).double()
        for e in shares.topk(2).indices:
            gate = F.silu(mixture.gate[e] @ token + mixture.gate_bias[e])
            hidden = gate * (mixture.up[e] @ token + mixture.up_bias[e])
            expected += shares[e] * (mixture.down[e] @ hidden + mixture.down_bias[e])
        torch.testing.assert_close(y, expected)


def test_what_is_over_the_capacity_passes_by() -> None:
    full = upcycle(_model("gated"), ("0",), experts=4, top_k=1).model[0]  # type: ignore[index]
    bound = upcycle(_model("gated"), ("0",), experts=4, top_k=1, capacity=1.0).model[0]  # type: ignore[index]
    bound.load_state_dict(full.state_dict())
    _, chosen, _ = full.router(X.reshape(-1, 8))
    assert capacity_of(10, 4, 1, 1.0) == 3
    assert int(is_chosen(chosen, 4).sum(0).max()) > 3
    taken = is_taken(chosen, 4, 3).any(-1).reshape(2, 5)
    y = bound(X)
    assert not y[~taken].any()
    torch.testing.assert_close(y[taken], full(X)[taken])


def test_balance_and_z_losses_by_their_formulas() -> None:
    chosen = torch.arange(4).repeat(3)[:, None]
    assert float(balance_loss(chosen, torch.zeros(12, 4))) == 1
    crowded = torch.zeros(12, 1, dtype=torch.int64)
    logits = torch.zeros(12, 4)
    logits[:, 0] = 50
    assert float(balance_loss(crowded, logits)) == pytest.approx(4)
    assert float(z_loss(torch.zeros(5, 4))) == pytest.approx(float(torch.tensor(4.0).log() ** 2))


def test_the_router_s_losses_add_their_gradient_and_nothing_else() -> None:
    mixture = upcycle(_model("gated"), ("0",), experts=4, balance=0.3, z=0.1).model[0]  # type: ignore[index]
    x = X.clone().requires_grad_()
    y = mixture(x)
    (7 * y.square()).sum().backward()
    got = {"x": x.grad, **{name: p.grad for name, p in mixture.named_parameters()}}
    other = X.clone().requires_grad_()
    mixture.zero_grad()
    mixture.eval()
    plain = mixture(other)
    assert torch.equal(plain, y)
    _, chosen, logits = mixture.router(other.reshape(-1, 8))
    loss = 0.3 * balance_loss(chosen, logits) + 0.1 * z_loss(logits)
    ((7 * plain.square()).sum() + loss).backward()
    expected = {"x": other.grad, **{name: p.grad for name, p in mixture.named_parameters()}}
    for name, gradient in expected.items():
        torch.testing.assert_close(got[name], gradient)


def test_the_router_stays_in_float32() -> None:
    mixture = upcycle(_model("gated"), ("0",), experts=4).model[0].bfloat16()  # type: ignore[index]
    assert mixture.router.weight.dtype == torch.float32
    assert mixture(X.bfloat16()).dtype == torch.bfloat16


class Llama(nn.Module):
    """The matrices of Llama-3.1-8B."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(128256, 4096)
        self.lm_head = nn.Linear(4096, 128256, bias=False)
        self.norm = nn.RMSNorm(4096)
        self.layers = nn.ModuleList(_block() for _ in range(32))


def _block() -> nn.ModuleDict:
    sizes = {"q": 4096, "k": 1024, "v": 1024, "o": 4096}
    layers: dict[str, nn.Module] = {
        name: nn.Linear(4096, size, bias=False) for name, size in sizes.items()
    }
    return nn.ModuleDict(
        {**layers, "mlp": Gated(4096, 14336), "a": nn.RMSNorm(4096), "b": nn.RMSNorm(4096)}
    )


@pytest.mark.parametrize(
    ("experts", "top_k", "parameters", "active"),
    [
        (8, 1, 47_491_321_856, 8_031_309_824),
        (8, 2, 47_491_321_856, 13_668_454_400),
        (4, 2, 24_942_219_264, 13_667_930_112),
    ],
)
def test_counts_of_llama_3_1_8b(experts: int, top_k: int, parameters: int, active: int) -> None:
    with torch.device("meta"):
        model = Llama()
    assert sum(p.numel() for p in model.parameters()) == 8_030_261_248
    up = upcycle(model, ("layers.*.mlp",), experts=experts, top_k=top_k)
    assert (up.parameters, up.active_parameters) == (parameters, active)
    assert len(up.layers) == 32


def test_a_default_device_without_data_does_not_matter() -> None:
    with torch.device("meta"):
        model = Llama()
        up = upcycle(model, ("layers.*.mlp",), experts=4, top_k=2)
    assert up.parameters == 24_942_219_264


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "hidden units": (
        {"experts": 6, "top_k": 3, "granularity": 3},
        r"'0'[\s\S]*3, divides[\s\S]*16",
    ),
    "experts": ({"experts": 7, "granularity": 2}, r"experts[\s\S]*multiple of the granularity, 2"),
    "all chosen": ({"experts": 2, "top_k": 2}, r"top_k[\s\S]*below the 2 experts"),
    "parts": ({"experts": 8, "top_k": 3, "granularity": 2}, "granularity, 2, below the 8"),
    "capacity": ({"experts": 4, "capacity": 0.0}, "factor above 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_numbers_that_do_not_divide_are_refused(name: str) -> None:
    options, said = REFUSED[name]
    with pytest.raises(UserError, match=said):
        upcycle(_model("gated"), ("0",), **options)


class Residual(Gated):
    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def test_modules_that_compute_something_else_are_refused() -> None:
    with pytest.raises(UserError, match=r"module '0'[\s\S]*a Residual of gate_proj"):
        upcycle(nn.Sequential(Residual()), ("0",), experts=4)
    with pytest.raises(UserError, match="a Linear of nothing"):
        upcycle(nn.Sequential(nn.Linear(8, 8)), ("0",), experts=4)
    with pytest.raises(UserError, match=r"'mlp\*'[\s\S]*no match"):
        upcycle(_model("gated"), ("mlp*",), experts=4)
    sparse = nn.Sequential(Gated())
    Sparsifier(sparse, torch.optim.SGD(sparse.parameters(), 0.1), 0.5)
    with pytest.raises(UserError, match=r"masks in force on 0.gate_proj"):
        upcycle(sparse, ("0",), experts=4)


def test_layers_of_transformers_are_taken() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(n_layer=2, n_head=2, n_embd=8, vocab_size=20, n_positions=6)
    model = transformers.GPT2LMHeadModel(config).eval()
    up = upcycle(model, ("transformer.h.1.mlp",), experts=4)
    tokens = torch.arange(6)[None]
    torch.testing.assert_close(up.model(tokens).logits, model(tokens).logits)
    assert up.model.transformer.h[1].mlp.dropout == config.resid_pdrop  # type: ignore[union-attr,operator]
