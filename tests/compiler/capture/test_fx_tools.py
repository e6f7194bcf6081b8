"""In-place operators have the functional operator of the same arguments, whatever it is called."""

from __future__ import annotations

import pytest
import torch
from weft.compiler.capture.fx_tools import functional_overload

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
