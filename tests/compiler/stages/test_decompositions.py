"""Operators without a kernel are written out; the plan computes what eager torch does."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import weft
from torch import nn
from weft.backend.errors import UnsupportedError
from weft.compiler.kernels.registry import KERNELS
from weft.compiler.stages.decompositions import before_autograd, decompositions

X4, X144 = torch.randn(1, 4), torch.randn(1, 1, 4, 4)


class Around(nn.Module):
    """A function or a layer between two trained layers; ties of its input are kept."""

    def __init__(self, first, layer, count):
        super().__init__()
        self.first, self.layer, self.last = first, layer, nn.Linear(count, 3)

    def forward(self, x):
        return self.last(self.layer(self.first(x).relu()).flatten(1))


def line(layer, count):
    return Around(nn.Conv1d(1, 2, 1), layer, count), torch.randn(1, 1, 4)


def plane(layer, count):
    return Around(nn.Conv2d(1, 2, 1), layer, count), torch.randn(1, 1, 4, 5)


def space(layer, count):
    return Around(nn.Conv3d(1, 1, 1), layer, count), torch.randn(1, 1, 2, 2, 3)


def features(layer, count=6):
    return Around(nn.Linear(4, 6), layer, count), X4


class GridSample(nn.Module):
    def __init__(self):
        super().__init__()
        self.grid = nn.Parameter(torch.rand(1, 3, 3, 2) - 0.5)

    def forward(self, x):
        return F.grid_sample(x, self.grid, align_corners=False)


class Distances(nn.Module):
    def __init__(self):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(5, 6))

    def forward(self, x):
        return torch.cdist(x, self.centres)


class Bilinear(nn.Bilinear):
    def forward(self, x):
        return super().forward(x, x.sin())


LAYERS = {
    "largest of windows that overlap": lambda: plane(nn.AdaptiveMaxPool2d((3, 2)), 12),
    "largest of windows of a line": lambda: line(nn.AdaptiveMaxPool1d(3), 6),
    "largest of windows in space": lambda: space(nn.AdaptiveMaxPool3d(2), 8),
    "edges repeated": lambda: plane(nn.ReplicationPad2d((1, 2, 0, 1)), 80),
    "edges repeated in a convolution": lambda: plane(
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="replicate"), 40
    ),
    "linear upsampling": lambda: line(nn.Upsample(7, mode="linear"), 14),
    "nearest upsampling of a line": lambda: line(nn.Upsample(7), 14),
    "nearest-exact upsampling": lambda: plane(nn.Upsample(7, mode="nearest-exact"), 98),
    "trilinear upsampling": lambda: space(nn.Upsample(3, mode="trilinear"), 27),
    "soft shrinkage": lambda: features(nn.Softshrink(0.1)),
    "hard shrinkage": lambda: features(nn.Hardshrink(0.1)),
    "random slopes": lambda: features(nn.RReLU()),
    "hard sigmoid": lambda: features(nn.Hardsigmoid()),
    "positions that are learned": lambda: plane(GridSample(), 18),
    "distances": lambda: features(Distances(), 5),
    "bilinear": lambda: features(Bilinear(6, 6, 5), 5),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_without_a_kernel_of_its_own_compiles(name):
    torch.manual_seed(0)
    model, x = LAYERS[name]()
    plan = weft.compile(model, (x, torch.tensor([1])), F.cross_entropy, "wse2")
    assert plan.document.witness == "float64"  # eager torch's loss, output and gradients


@pytest.mark.parametrize(
    ("mode", "padding", "include_last"),
    [("sum", None, False), ("mean", 3, False), ("mean", None, True), ("max", 3, True)],
)
def test_bags_of_embeddings(mode, padding, include_last):
    class Bags(nn.Module):
        def __init__(self):
            super().__init__()
            self.bag = nn.EmbeddingBag(
                11, 4, mode=mode, padding_idx=padding, include_last_offset=include_last
            )

        def forward(self, indices, offsets):
            return self.bag(indices[0], offsets[0]).sin().sum()

    sample = torch.tensor([[3, 5, 3, 0, 9, 3]]), torch.tensor([[0, 2, 2, 5]])
    assert weft.compile(Bags(), sample).document.witness == "float64"


def test_bags_of_one_size_with_weights():
    class Weighted(nn.Module):
        def __init__(self):
            super().__init__()
            self.bag, self.weights = nn.EmbeddingBag(11, 4, mode="sum"), nn.Linear(1, 6)

        def forward(self, indices):
            return self.bag(indices, per_sample_weights=self.weights(torch.ones(1, 1))).sin().sum()

    assert weft.compile(Weighted(), (torch.randint(0, 11, (1, 6)),)).document.witness == "float64"


@pytest.mark.parametrize("labels", [[3, 0, -1, 1], [1, -1, -1, -1], [-1, 0, 1, 2], [2, 0, 1, 3]])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_several_labels_of_a_sample(labels, reduction):
    """They end at the first -1, which torch's own decomposition does not see."""
    loss = nn.MultiLabelMarginLoss(reduction=reduction)
    plan = weft.compile(nn.Linear(4, 4), (X4, torch.tensor([labels])), loss)
    assert plan.document.witness == "float64"


def test_what_has_a_kernel_keeps_it():
    for op in (torch.ops.aten.upsample_nearest2d.default, torch.ops.aten.embedding.default):
        assert str(op) in KERNELS
        assert before_autograd(op) is None
        assert op not in decompositions()


def test_what_has_neither_is_refused_by_its_name():
    model = Around(nn.Linear(4, 6), lambda h: h.kthvalue(2).values[:, None], 1)
    with pytest.raises(UnsupportedError, match=r"test_decompositions[\s\S]*aten\.kthvalue"):
        weft.compile(model, (X4, torch.tensor([1])), F.cross_entropy, "wse2")


class Counted(nn.Module):
    """A hundred times its input as whole numbers of a type."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.head, self.dtype = nn.Linear(4, 3), dtype

    def forward(self, x):
        return self.head((100 * x).to(self.dtype) / 256)


@pytest.mark.parametrize("executor", ["reference", "jax", "torch-xla"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16])
def test_the_lowest_bits_remain_of_what_a_narrow_type_has_not(dtype: torch.dtype, executor: str):
    """Below and above its range; XLA by itself takes the nearest number in it."""
    model, x = Counted(dtype), torch.tensor([[-1.5, 3.0, 700.0, 0.5]])
    plan = weft.compile(model, (x, torch.tensor([1])), F.cross_entropy)
    made = weft.predict(plan, x.numpy(), executor=executor)[0]
    torch.testing.assert_close(torch.tensor(made), model(x).detach(), rtol=1e-5, atol=1e-5)


class Masked(nn.Module):
    """Assigns by masks: a number, rows, and a parameter that gets a gradient from all places."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(4, 4), nn.Linear(12, 3)
        self.row, self.one = nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(1))

    def forward(self, x):
        h = self.first(x)[:, None].repeat(1, 3, 1)  # (N, 3, 4)
        h[h > 0.3] = 0.5
        h[:, h[0, :, 0] < 0.5] = self.row
        h[h < -0.2] = self.one
        h[:, :, x[0] > 1] = h[:, :1, :1]
        return self.head(h.flatten(1))


@pytest.mark.parametrize("executor", ["reference", "jax", "torch-xla"])
def test_masks_assign(executor: str) -> None:
    torch.manual_seed(0)
    model, x = Masked(), torch.tensor([[-1.5, 3.0, 0.3, 0.5]])
    F.cross_entropy(model(x), torch.tensor([1])).backward()
    plan = weft.compile(deepcopy(model), (x, torch.tensor([1])), F.cross_entropy)
    settings = ["optimizer.lr=1", "optimizer.momentum=0", "optimizer.weight_decay=0"]
    data = x.numpy(), np.array([1])
    run = weft.train(plan, data, executor=executor, mode="sequential", epochs=1, settings=settings)
    for name, weight in model.named_parameters():
        expected = (weight - weight.grad).detach()
        torch.testing.assert_close(run.tensors[name], expected, rtol=1e-5, atol=1e-5, msg=name)
