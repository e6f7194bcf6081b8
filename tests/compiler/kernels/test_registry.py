"""Every kernel family on real stage programs, and the table that binds operators to families."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from helpers.operator_zoo import TARGET, operators, zoo
from helpers.stages_of import mlp_stages, resnet8_stages, stages_of
from torch import nn
from weft.compiler.kernels.registry import KERNELS
from weft.compiler.mapping.map import map_kernels
from weft.compiler.plan.training import Training


class Attention(nn.Module):
    """Embedding, layer norm, products of activations, soft-max."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 16)
        self.norm = nn.LayerNorm(16)
        self.qkv = nn.Linear(16, 48)
        self.out = nn.Linear(16, 20)

    def forward(self, tokens):
        hidden = self.table(tokens)
        q, k, v = self.qkv(self.norm(hidden)).chunk(3, -1)
        return self.out(hidden + torch.softmax(q @ k.transpose(1, 2), -1) @ v)[0]


def attention():
    tokens = torch.zeros(1, 6, dtype=torch.long)
    label = torch.zeros(1, 6, dtype=torch.long)
    return stages_of(Attention(), tokens, lambda p, t: F.cross_entropy(p, t[0]), label)


class Whitened(nn.Module):
    """A layer whose weight is solved for."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.weight = nn.Linear(4, 4), nn.Parameter(torch.randn(4, 4))

    def forward(self, x):
        return torch.linalg.solve(self.weight @ self.weight.T + torch.eye(4), self.mix(x).T).T


def whitened():
    return stages_of(Whitened(), torch.zeros(1, 4), F.mse_loss, torch.zeros(1, 4))


def test_every_family_is_met_and_costs_cycles():
    met = {}
    for stages in (zoo(), attention(), whitened(), resnet8_stages(), mlp_stages()):
        for family, found in operators(stages).items():
            met.setdefault(family, []).extend(found)
    assert set(met) == {kernel.family for kernel in KERNELS.values()} | {"optimizer"}
    for found in met.values():
        assert all(operator.cycles > 0 for operator in found)


def test_only_contractions_have_macs():
    for family, found in operators(resnet8_stages()).items():
        has_macs = [operator.macs_dense > 0 for operator in found]
        assert all(has_macs) if family in ("convolution", "linear") else not any(has_macs)


def test_macs_of_products_of_activations_by_hand():
    found = operators(attention())["linear"]
    products = [operator for operator in found if "bmm" in operator.operator]
    # two products forward, two gradients of each backward, all 6 x 16 x 6
    assert [operator.macs_dense for operator in products] == [6 * 16 * 6] * 6


def test_a_mask_scales_effective_macs_only():
    masks = {"0.weight": torch.ones(32, 64, dtype=torch.bool)}
    masks["0.weight"][:, ::4] = False
    found = [o for o in operators(mlp_stages(), masks)["linear"] if o.module in ("0", "model.0")]
    assert found
    assert all(operator.macs_effective * 4 == operator.macs_dense * 3 for operator in found)


def test_update_grows_with_the_optimizer():
    cycles = [
        sum(
            s.choices[0].cycles.update_cycles
            for s in map_kernels(mlp_stages(), TARGET, Training(optimizer_states=n)).stages
        )
        for n in (0, 1, 2)
    ]
    assert cycles[0] < cycles[1] < cycles[2]
