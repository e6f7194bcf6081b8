"""Where an operator runs, and what it costs there."""

from __future__ import annotations

import pytest
import torch
from torch import fx
from weft.backend.errors import UnsupportedError
from weft.compiler.kernels.registry import kernel_for


def test_an_unknown_operator_is_refused_with_its_place():
    graph = fx.Graph()
    node = graph.call_function(torch.ops.aten.bucketize.Tensor, (graph.placeholder("x"),))
    with pytest.raises(UnsupportedError, match=r"stage seven[\s\S]*aten\.bucketize\.Tensor"):
        kernel_for(node, "stage seven")
