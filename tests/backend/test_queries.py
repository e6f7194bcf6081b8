"""Questions about a tensor that compute nothing, and have the same answer of a fake one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from weft.backend.queries import QUERIES


class Told(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.functions: list[Any] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.functions.append(func)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("query", sorted(QUERIES, key=repr))
def test_a_fake_tensor_has_the_same_answer_and_nothing_is_computed(query: Any) -> None:
    parameter = nn.Parameter(torch.zeros(2, 3))
    with FakeTensorMode() as mode:
        assert query(mode.from_tensor(parameter)) == query(parameter)

    def asked(value: Tensor) -> Tensor:
        query(value)
        return value + 1

    graph = make_fx(asked)(torch.zeros(2, 3)).graph
    assert [node.name for node in graph.nodes if node.op == "call_function"] == ["add"]


def test_a_mode_is_told_them_as_they_stand_in_the_set() -> None:
    value = torch.zeros(2, 3)
    with Told() as told:
        _ = value.shape, value.requires_grad, value.size(), value.stride(), value.dim()
        _ = value.T, value.data, value.device
    assert [func in QUERIES for func in told.functions] == [True] * 5 + [False] * 3
