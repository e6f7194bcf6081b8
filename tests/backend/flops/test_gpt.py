"""The ledger of a GPT from its shape, against the published table of SPDF."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from weft.backend.flops import GPT2_SMALL, GPT3_XL, GPTShape, gpt_ledger, module_ledger
from weft.sparsity import configure

# Thangarasa et al. 2023 (SPDF), table of pre-training FLOPs: sequences; per sequence; exaFLOPs.
SPDF = [
    (GPT2_SMALL, 2.5e9, 0.0, 1.99e12, 2.43),
    (GPT2_SMALL, 2.5e9, 0.5, 1.47e12, 1.79),
    (GPT2_SMALL, 2.5e9, 0.75, 1.20e12, 1.46),
    (GPT3_XL, 26e9, 0.0, 1.86e13, 236.10),
    (GPT3_XL, 26e9, 0.5, 1.12e13, 141.87),
    (GPT3_XL, 26e9, 0.75, 7.46e12, 94.76),
]


@pytest.mark.parametrize(("shape", "tokens", "sparsity", "per_sequence", "exaflops"), SPDF)
def test_the_spdf_table_within_two_percent(
    shape: GPTShape, tokens: float, sparsity: float, per_sequence: float, exaflops: float
) -> None:
    ledger = gpt_ledger(shape, sparsity)
    assert ledger.training.effective == pytest.approx(per_sequence, rel=0.02)
    run = ledger.run(round(tokens / shape.sequence))
    assert run.effective / 1e18 == pytest.approx(exaflops, rel=0.02)


def test_shares_of_what_sparsity_cannot_reduce() -> None:
    """SPDF: attention products are 13.3 % and the vocabulary 6.8 % of GPT-3 XL."""
    ledger = gpt_ledger(GPT3_XL, 0.75)
    shares = {kind: flops.dense / ledger.training.dense for kind, flops in ledger.by_kind().items()}
    assert shares["attention"] == pytest.approx(0.133, abs=0.001)
    assert shares["vocabulary"] == pytest.approx(0.068, abs=0.001)
    kinds = ledger.by_kind()
    assert kinds["attention"].ratio == kinds["vocabulary"].ratio == 1.0
    assert kinds["linear"].ratio == 0.25


class Decoder(nn.Module):
    """One block of a GPT with its vocabulary projection, norms left out."""

    def __init__(self, shape: GPTShape) -> None:
        super().__init__()
        width = shape.width
        self.qkvo = nn.ModuleList(nn.Linear(width, width) for _ in range(4))
        self.up = nn.Linear(width, shape.expansion * width)
        self.down = nn.Linear(shape.expansion * width, width)
        self.lm_head = nn.Linear(width, shape.vocabulary, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (layer(x) for layer in self.qkvo[:3])
        x = self.qkvo[3](torch.softmax(query @ key.mT, -1) @ value)
        return self.lm_head(self.down(torch.relu(self.up(x))))


def test_a_module_and_a_shape_give_the_same_ledger() -> None:
    shape = GPTShape(layers=1, width=8, sequence=12, vocabulary=30)
    model = Decoder(shape)
    masks = configure({"sparsity": 0.5, "param_filter": ["qkvo.*weight", "*n.weight", "up.weight"]})
    from_module = module_ledger(model, (torch.zeros(1, 12, 8),), masks.masks(model))
    from_shape = gpt_ledger(shape, 0.5)
    assert from_module.by_kind() == from_shape.by_kind()
    assert from_module.training == from_shape.training


def test_rigl_amortises_its_dense_gradient() -> None:
    """(3 f_s P + 2 f_s + f_d) / (P + 1), Evci et al. 2020."""
    ledger = gpt_ledger(GPTShape(2, 16, 8, 100), 0.9)
    dense, sparse, period = ledger.forward.dense, ledger.forward.effective, 99
    expected = (3 * sparse * period + 2 * sparse + dense) / (period + 1)
    assert ledger.rigl(period).effective == pytest.approx(expected)
    assert ledger.rigl(period).dense == pytest.approx(3 * dense)
