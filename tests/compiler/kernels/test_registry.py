"""Every kernel family on real stage programs, and the table that binds operators to families."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.stages_of import mlp_stages, resnet8_stages, stages_of
from torch import fx, nn
from weft.backend.errors import UnsupportedError
from weft.compiler.kernels.registry import KERNELS, kernel_for
from weft.compiler.mapping.map import map_kernels
from weft.compiler.plan.training import Training
from weft.compiler.targets import load_target

TARGET = load_target("wse2")


class Zoo(nn.Module):
    """One of everything an image network may hold."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8, bias=False)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.head = nn.Linear(4, 10)

    def forward(self, x):
        x = F.max_pool2d(F.gelu(self.norm(self.first(x))), 2)
        x = F.avg_pool2d(F.silu(x) + torch.tanh(x), 2)
        x = self.up(self.depthwise(x))
        return self.head(x.mean((2, 3)))


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


def operators(stages, masks=None):
    """Cheapest choice's operators of every stage, by family."""
    found = {}
    for stage in map_kernels(stages, TARGET, Training(masks or {})).stages:
        for operator in stage.choices[-1].operators:
            found.setdefault(operator.family, []).append(operator)
    return found


def zoo():
    return stages_of(Zoo(), torch.zeros(1, 3, 20, 20))


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


def test_macs_of_an_mlp_by_hand():
    """Forward, weight gradient and (but for the first layer) input gradient."""
    found = operators(mlp_stages())["linear"]
    assert sum(operator.macs_dense for operator in found) == 2 * 64 * 32 + 3 * 32 * 10


def test_macs_of_grouped_and_transposed_convolutions_by_hand():
    found = operators(zoo())["convolution"]
    forward = [operator.macs_dense for operator in found if operator.phase == "forward"]
    # 3x3 on 20x20; one 3x3 per channel on 3x3; each of 3x3 inputs times 2x2 taps
    assert forward == [8 * 3 * 9 * 400, 8 * 9 * 9, 8 * 4 * 4 * 9]


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


def test_an_unknown_operator_is_refused_with_its_place():
    graph = fx.Graph()
    node = graph.call_function(torch.ops.aten.bucketize.Tensor, (graph.placeholder("x"),))
    with pytest.raises(UnsupportedError, match=r"stage seven[\s\S]*aten\.bucketize\.Tensor"):
        kernel_for(node, "stage seven")


def test_views_are_free_and_writes_are_not():
    assert KERNELS["aten.view.default"].cost is KERNELS["aten.permute.default"].cost
    for name in ("aten.clone.default", "aten.cat.default", "aten.full.default"):
        assert KERNELS[name].cost is not KERNELS["aten.view.default"].cost


def test_update_grows_with_the_optimizer():
    cycles = [
        sum(
            s.choices[0].cycles.update_cycles
            for s in map_kernels(mlp_stages(), TARGET, Training(optimizer_states=n)).stages
        )
        for n in (0, 1, 2)
    ]
    assert cycles[0] < cycles[1] < cycles[2]
