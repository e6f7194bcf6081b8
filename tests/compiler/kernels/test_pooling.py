"""Adaptive average pooling: plans of it are sound, its stages equal eager, its cost by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.staged import forward_backward
from helpers.stages_of import stages_of
from torch import fx, nn
from weft.compiler.emit.emit import Labels, emit
from weft.compiler.kernels import pooling
from weft.compiler.kernels.roles import Roles
from weft.compiler.kernels.site import Site
from weft.compiler.machine.tilings import Tilings
from weft.compiler.mapping.map import map_kernels
from weft.compiler.place.place import place
from weft.compiler.plan.check import check
from weft.compiler.plan.training import Training
from weft.compiler.targets import load_target

TARGET = load_target("wse2")
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
SIZES = [((7,), (3,)), ((8, 6), (4, 3)), ((9, 5), (4, 7)), ((1, 1), (3, 2)), ((5, 4, 3), (2, 3, 4))]
"""Images and the sizes asked for, which divide the image's, do not, or are larger."""


class Pooled(nn.Module):
    """As in AlexNet and VGG: a convolution, a fixed size whatever the image's, a linear layer."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        rank = len(sizes)
        self.features = CONVOLUTIONS[rank - 1](2, 3, 3, padding=1)
        pools = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
        self.pool = pools[rank - 1](sizes if rank > 1 else sizes[0])
        self.head = nn.LazyLinear(4)

    def forward(self, image):
        return self.head(self.pool(torch.relu(self.features(image))).flatten(1))


def _stages(image: tuple[int, ...], sizes: tuple[int, ...], dtype: torch.dtype):
    torch.manual_seed(0)
    sample = torch.randn(1, 2, *image, dtype=dtype)
    model = Pooled(sizes).to(dtype)
    model(sample)
    return model, sample, stages_of(model, sample)


@pytest.mark.parametrize(("image", "sizes"), SIZES)
def test_stages_equal_eager_autograd(image, sizes):
    """float64 against float64: 1e-12 is some thousand roundings."""
    model, sample, stages = _stages(image, sizes, torch.float64)
    label = torch.tensor([1])
    known = {name: value.detach().clone() for name, value in model.named_parameters()}
    loss, _, gradients, _ = forward_backward(stages, known, (sample, label))
    expected = F.cross_entropy(model(sample), label)
    expected.backward()
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=1e-14)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("image", "sizes"), SIZES)
def test_plans_are_sound(image, sizes):
    stages = _stages(image, sizes, torch.float32)[2]
    plan = emit(
        stages, place(stages, map_kernels(stages, TARGET)), {}, Training(), Labels("pooled")
    )
    assert not check(plan.document, TARGET, plan.programs)
    pooled = [o for stage in plan.document.stages for o in stage.operators if o.family == "pooling"]
    assert {o.phase for o in pooled} == {"forward", "backward"}
    assert all("adaptive" in o.operator and o.compute_cycles > 0 for o in pooled)


def _site() -> Site:
    sides = np.array([1, 2], np.int64)
    return Site(
        TARGET, Tilings.in_blocks(sides, sides, np.ones(2, np.int64)), Roles({}, {}), {}, {}
    )


def _call(name: str, *arguments) -> fx.Node:
    """A node that calls the operator, with what it gives."""
    graph, placed = fx.Graph(), []
    for argument in arguments:
        is_tensor = isinstance(argument, torch.Tensor)
        placed.append(graph.placeholder("x") if is_tensor else argument)
        if is_tensor:
            placed[-1].meta["val"] = argument
    target = getattr(torch.ops.aten, name).default
    node = graph.call_function(target, tuple(placed))
    node.meta["val"] = target(*arguments)
    return node


def test_parts_of_equal_size_cost_what_fixed_windows_cost():
    x, y = torch.zeros(1, 3, 8, 6), torch.zeros(1, 3, 4, 3)
    fixed = ([2, 2], [2, 2], [0, 0], False, True, None)
    for adaptive, window in (
        (_call("_adaptive_avg_pool2d", x, [4, 3]), _call("avg_pool2d", x, *fixed)),
        (_call("_adaptive_avg_pool2d_backward", y, x), _call("avg_pool2d_backward", y, x, *fixed)),
    ):
        got, expected = (
            pooling.adaptive_pooling(adaptive, _site()),
            pooling.pooling(window, _site()),
        )
        np.testing.assert_array_equal(got.compute, expected.compute)
        np.testing.assert_array_equal(got.network, expected.network)


@pytest.mark.parametrize(("inputs", "outputs"), [(7, 3), (8, 3), (1, 6), (5, 5), (9, 4), (3, 7)])
def test_a_pass_per_input_of_the_largest_window(inputs, outputs):
    """How many inputs an output reads, by torch's own gradients."""
    image = torch.zeros(1, 1, 1, inputs)
    readers = torch.autograd.functional.jacobian(
        lambda x: F.adaptive_avg_pool2d(x, (1, outputs)).flatten(), image
    )
    largest = int((readers.reshape(outputs, inputs) != 0).sum(1).max())
    site = _site()
    cost = pooling.adaptive_pooling(_call("_adaptive_avg_pool2d", image, [1, outputs]), site)
    passes = site.vector_cycles(site.share(outputs), "float32", largest)
    np.testing.assert_array_equal(cost.compute, passes)
