"""Counts of single operators against loops over their parts, which torch counts right."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from weft.backend.flops.operators import operator_macs
from weft.backend.ops.routed_product import routed_product

CONVOLUTIONS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "dense": (nn.Conv2d(8, 4, 3, padding=1), (2, 8, 5, 5)),
    "grouped, strided": (nn.Conv2d(8, 16, 3, stride=2, groups=4), (2, 8, 7, 7)),
    "depthwise, 1-d": (nn.Conv1d(8, 8, 3, dilation=2, groups=8), (1, 8, 9)),
    "grouped, 3-d": (nn.Conv3d(4, 4, 2, groups=2), (1, 4, 3, 3, 3)),
    "transposed, grouped": (nn.ConvTranspose2d(8, 4, 3, stride=2, groups=4), (1, 8, 4, 4)),
}


class Counter(TorchDispatchMode):
    """Sums what `operator_macs` says of all that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        self.total += operator_macs(func, args, kwargs or {}, result)
        return result


def _counted(run: Callable[[], object]) -> int:
    with Counter() as counter:
        run()
    return counter.total


def _torch_counts(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() // 2


def _group(layer: nn.Module, number: int) -> nn.Module:
    """A dense convolution of one group's channels."""
    assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d)
    groups = layer.groups
    return type(layer)(
        layer.in_channels // groups,
        layer.out_channels // groups,
        layer.kernel_size,  # type: ignore[arg-type]
        stride=layer.stride,  # type: ignore[arg-type]
        padding=layer.padding,  # type: ignore[arg-type]
        dilation=layer.dilation,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_counts_as_its_groups_one_by_one(name: str) -> None:
    layer, shape = CONVOLUTIONS[name]
    groups = int(layer.groups)  # type: ignore[arg-type]
    x = torch.zeros(shape, requires_grad=True)
    parts = [part.detach().clone().requires_grad_() for part in x.chunk(groups, 1)]
    layers = [_group(layer, number) for number in range(groups)]

    def whole() -> Tensor:
        return layer(x)

    def each() -> Tensor:
        return torch.cat([one(part) for one, part in zip(layers, parts, strict=True)], 1)

    forward = _torch_counts(each)
    assert _counted(whole) == forward
    assert _counted(lambda: whole().sum().backward()) == 3 * forward
    assert _torch_counts(lambda: each().sum().backward()) == 3 * forward


def test_the_input_of_a_first_layer_needs_no_gradient() -> None:
    layer = nn.Conv2d(4, 4, 3, groups=2)
    x = torch.zeros(1, 4, 5, 5)
    forward = _counted(lambda: layer(x))
    assert _counted(lambda: layer(x).sum().backward()) == 2 * forward


def test_vectors_count_as_matrices_of_one_column() -> None:
    matrix, vector, batch = torch.zeros(3, 5), torch.zeros(5), torch.zeros(2, 5, 4)
    assert _counted(lambda: matrix @ vector) == _torch_counts(lambda: matrix @ vector[:, None])
    assert _counted(lambda: torch.addmv(torch.zeros(3), matrix, vector)) == 15
    assert _counted(lambda: vector @ vector) == 5
    left = torch.zeros(2, 3, 5)
    assert _counted(lambda: torch.addbmm(torch.zeros(3, 4), left, batch)) == _torch_counts(
        lambda: left @ batch
    )


def test_attention_on_the_cpu_counts_as_its_two_products() -> None:
    query, key, value = (torch.zeros(1, 2, length, 4) for length in (5, 7, 7))
    expected = _torch_counts(lambda: torch.softmax(query @ key.mT, -1) @ value)
    assert _counted(lambda: scaled_dot_product_attention(query, key, value)) == expected


def test_a_routed_row_meets_the_weight_of_its_expert_alone() -> None:
    x, weight = torch.randn(6, 4, requires_grad=True), torch.randn(3, 4, 5, requires_grad=True)
    expert = torch.tensor([0, 2, 2, 1, 0, 2])

    def one_by_one() -> None:
        sum(row @ weight[e] for row, e in zip(x[:, None], expert, strict=True)).sum().backward()  # type: ignore[union-attr]

    with FlopCounterMode(display=False) as torch_s:
        one_by_one()
    counted = _counted(lambda: routed_product(x, weight, expert, 2, 3).sum().backward())
    assert counted == torch_s.get_total_flops() // 2 == 3 * 6 * 4 * 5
