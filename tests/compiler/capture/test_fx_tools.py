"""In-place operators have the functional operator of the same arguments, whatever it is called."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from weft.compiler.capture.fx_tools import forget_strides, functional_overload

A = torch.ops.aten
PAIRS = [
    (A.pow_.Scalar, A.pow.Tensor_Scalar),
    (A.pow_.Tensor, A.pow.Tensor_Tensor),
    (A.transpose_.default, A.transpose.int),
    (A.add_.Tensor, A.add.Tensor),
    (A.relu_.default, A.relu.default),
    (A.clamp_.default, A.clamp.default),
    (A.index_put_.default, A.index_put.default),
    (A.fill_.Scalar, A.fill.Scalar),
]


@pytest.mark.parametrize(("changes", "returns"), PAIRS, ids=lambda target: str(target))
def test_by_arguments(changes, returns):
    assert functional_overload(changes) is returns


def test_what_changes_nothing_has_none():
    assert functional_overload(A.add.Tensor) is None


class _Rounded(nn.Module):
    """Times the power of two that is nearest, made of its bits."""

    def forward(self, x: Tensor) -> Tensor:
        whole = torch.round(x).to(torch.int32)
        return x * ((whole + 127) * 2**23).view(torch.float32)


def test_bits_that_are_read_as_another_type_stay_a_view():
    traced = torch.export.export(_Rounded(), (torch.randn(1, 4),)).run_decompositions()
    graph = traced.module().graph
    forget_strides(graph)
    assert A.view.dtype in {node.target for node in graph.nodes}
